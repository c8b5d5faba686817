"""Faults on request: rules that make the next matching requests go wrong in a chosen way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.sandbox.wire import Problem, Record, Request, decode


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Match(_Closed):
    """Which requests a rule is about. Everything given must fit; nothing given fits every request."""

    method: str | None = None
    path_prefix: str = "/"
    metadata: dict[str, str] = {}
    """Entries that the request body's own `metadata` must have."""

    def fits(self, request: Request) -> bool:
        if self.method is not None and self.method.upper() != request.method:
            return False
        return request.path.startswith(self.path_prefix) and self.metadata.items() <= _metadata(request).items()


class _Rule(_Closed):
    match: Match = Match()
    times: Annotated[int, Field(ge=1)] | None = 1
    """How many matching requests go wrong; null: all of them, until the rules are cleared."""


class LoseResponse(_Rule):
    """The effect happens; the connection is dropped without an answer."""

    kind: Literal["lose_response_after_commit"]


class ResetBefore(_Rule):
    """The connection is reset; nothing happens."""

    kind: Literal["reset_before"]


class Status(_Rule):
    """An error status is answered, with nothing done, or after the effect when `after_commit` is set."""

    kind: Literal["status"]
    status: Annotated[int, Field(ge=400, le=599)]
    retry_after: Annotated[int, Field(ge=0)] | None = None
    after_commit: bool = False


class Delay(_Rule):
    """The request takes `seconds`: `before` its effect (its idempotency key is busy for so long), or `after` it."""

    kind: Literal["delay"]
    seconds: Annotated[float, Field(ge=0)]
    when: Literal["before", "after"] = "before"


class LookupLag(_Rule):
    """Lists do not show what was created in the last `seconds`."""

    kind: Literal["lookup_lag"]
    seconds: Annotated[float, Field(gt=0)]

    @property
    def age(self) -> timedelta:
        return timedelta(seconds=self.seconds)


class IgnoreHeader(_Rule):
    """The request is read as if this idempotency header were missing; the other one still counts."""

    kind: Literal["ignore_idempotency_header"]
    header: Literal["x-request-id", "idempotency-key"]


class RegistryDown(_Rule):
    """The EU's register of tax numbers does not answer the request's question. Requests that ask nothing do not count."""

    kind: Literal["registry_down"]


class RegistrySlow(_Rule):
    """The EU's register of tax numbers takes `seconds` to answer. Requests that ask nothing do not count."""

    kind: Literal["registry_slow"]
    seconds: Annotated[float, Field(ge=0)]


class EmailUnverified(_Rule):
    """The account may not send e-mail yet. Requests that would send none do not count."""

    kind: Literal["email_unverified"]


Fault = LoseResponse | ResetBefore | Status | Delay | LookupLag | IgnoreHeader | RegistryDown | RegistrySlow | EmailUnverified
_ON_OCCASION = (RegistryDown, RegistrySlow, EmailUnverified)


class FaultRequest(BaseModel):
    """A fault as the control API takes it."""

    model_config = ConfigDict(frozen=True)
    fault: Annotated[Fault, Field(discriminator="kind")]


@dataclass(slots=True)
class _Armed:
    fault: Fault
    remaining: int | None


class Faults:
    """The rules in force, oldest first.

    One request meets at most one of them when it arrives, and besides that those that wait for an occasion inside of it.
    """

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> None:
        """Puts a rule in force."""
        self._armed.append(_Armed(fault, fault.times))

    def add_json(self, body: object) -> None:
        """Puts a rule in force from JSON. Raises `pydantic.ValidationError`."""
        self.add(FaultRequest.model_validate({"fault": body}).fault)

    def clear(self) -> None:
        """Takes all the rules out of force."""
        self._armed.clear()

    def take(self, request: Request) -> Fault | None:
        """The fault this request meets when it arrives, counted as used."""
        return self._first(request, lambda fault: not isinstance(fault, _ON_OCCASION) and _applies(fault, request))

    def meet(self, request: Request, kinds: tuple[type[Fault], ...]) -> Fault | None:
        """The fault of these kinds that the request meets while it is carried out, counted as used."""
        return self._first(request, lambda fault: isinstance(fault, kinds))

    def _first(self, request: Request, wanted: Callable[[Fault], bool]) -> Fault | None:
        for armed in self._armed:
            if wanted(armed.fault) and armed.fault.match.fits(request):
                if armed.remaining is not None:
                    armed.remaining -= 1
                    if armed.remaining == 0:
                        self._armed.remove(armed)
                return armed.fault
        return None

    def to_json(self) -> list[Record]:
        """The rules in force, with how often each still applies as `times`."""
        return [{**armed.fault.model_dump(), "times": armed.remaining} for armed in self._armed]


def _applies(fault: Fault, request: Request) -> bool:
    return request.method == "GET" if isinstance(fault, LookupLag) else True


def _metadata(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = decode(request.body)
    except Problem:
        return {}
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return metadata if isinstance(metadata, dict) else {}
