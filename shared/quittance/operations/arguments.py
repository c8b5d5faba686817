"""What a request says, as the arguments that its handler declares.

The annotations are what the OpenAPI document is made of; the same ones are checked here, without the library that makes it. They
may be texts, whole numbers, truth values, enumerations, lists and dataclasses of these, each with a `Between` or a `Length`.
"""

from __future__ import annotations

import json
import re
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from quittance.errors import Reject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    SchemaOf: TypeAlias = Callable[[object], dict[str, Any]]
    """How pydantic asks an annotation for its JSON Schema."""

ARGUMENT_WRONG = "argument_wrong"
_DIGITS = re.compile(r"-?[0-9]{1,18}")


class WrongArgument(Reject):
    """What was said for `field` is not what it must be."""

    def __init__(self, field: str, must: str) -> None:
        super().__init__(ARGUMENT_WRONG, f"{field} {must}")
        self.field = field
        self.must = must


@dataclass(frozen=True, slots=True)
class Between:
    """Limits of a whole number, both allowed."""

    low: int
    high: int

    def check(self, value: int, name: str) -> None:
        if not self.low <= value <= self.high:
            raise WrongArgument(name, f"must be {self.low} to {self.high}")

    def __get_pydantic_json_schema__(self, schema: object, handler: SchemaOf) -> dict[str, Any]:
        return handler(schema) | {"minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Length:
    """Limits of the length of a text or of a list, both allowed."""

    low: int
    high: int

    def check(self, value: str | list[Any], name: str) -> None:
        if not self.low <= len(value) <= self.high:
            what = "characters" if isinstance(value, str) else "elements"
            raise WrongArgument(name, f"must have {self.low} to {self.high} {what}")

    def __get_pydantic_json_schema__(self, schema: object, handler: SchemaOf) -> dict[str, Any]:
        found = handler(schema)
        names = ("minLength", "maxLength") if found.get("type") == "string" else ("minItems", "maxItems")
        return found | dict(zip(names, (self.low, self.high), strict=True))


def arguments_of(
    handler: Callable[..., Any], path: Mapping[str, str], query: Mapping[str, str], body: str | None
) -> dict[str, Any]:
    """The arguments to call `handler` with. A parameter that is a dataclass is the body; one that is not in the path, the query.

    Raises `WrongArgument`.
    """
    declared = _declared(handler)
    in_query = {name for name, (_, annotation) in declared.items() if name not in path and not is_dataclass(annotation)}
    if unknown := set(query) - in_query:
        raise WrongArgument(min(unknown), "is no parameter of this operation")
    given: dict[str, Any] = {**query, **path}
    arguments = {}
    for name, (parameter, annotation) in declared.items():
        if is_dataclass(annotation):
            arguments[name] = read(_json(body), annotation, "body", is_text=False)
        elif name in given:
            arguments[name] = read(given[name], annotation, name, is_text=True)
        elif parameter.default is Parameter.empty:
            raise WrongArgument(name, "is missing")
    return arguments


@cache
def _declared(handler: Callable[..., Any]) -> dict[str, tuple[Parameter, Any]]:
    hints = get_type_hints(handler, include_extras=True)
    return {name: (parameter, hints[name]) for name, parameter in signature(handler).parameters.items()}


def _json(body: str | None) -> Any:  # noqa: ANN401 - any JSON
    try:
        return json.loads(body or "{}")
    except (ValueError, RecursionError):
        raise WrongArgument("body", "must be JSON") from None


def read(value: Any, annotation: Any, name: str, *, is_text: bool) -> Any:  # noqa: ANN401, PLR0911 - one way out for each kind
    """A value as its annotation has it. With `is_text`, numbers and truth values are written as texts."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        found = read(value, inner[0], name, is_text=is_text)
        for limit in inner[1:]:
            limit.check(found, name)
        return found
    if origin in {Union, UnionType}:
        return None if value is None else read(value, next(one for one in inner if one is not NoneType), name, is_text=is_text)
    if origin is list:
        return [
            read(element, inner[0], f"{name}[{place}]", is_text=False) for place, element in enumerate(_of(list, value, name))
        ]
    if is_dataclass(annotation):
        return _record(_of(dict, value, name), annotation, name)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return _one_of(annotation, value, name)
    if annotation is bool and is_text:
        return _of(bool, {"true": True, "false": False}.get(value), name)
    if annotation is int and is_text:
        return _of(int, int(value) if _DIGITS.fullmatch(value) else None, name)
    return _of(annotation, value, name)


_NAMES: dict[type, str] = {bool: "true or false", int: "a whole number", str: "a text", list: "a list", dict: "an object"}


def _of(kind: type, value: Any, name: str) -> Any:  # noqa: ANN401 - checked here
    if type(value) is not kind:
        raise WrongArgument(name, f"must be {_NAMES[kind]}")
    return value


def _one_of(kind: type[StrEnum], value: Any, name: str) -> StrEnum:  # noqa: ANN401 - checked here
    if value not in list(kind):
        raise WrongArgument(name, f"must be one of {', '.join(kind)}")
    return kind(value)


def _record(value: dict[str, Any], kind: Any, name: str) -> Any:  # noqa: ANN401 - any dataclass
    inside = "" if name == "body" else f"{name}."
    hints = get_type_hints(kind, include_extras=True)
    if unknown := set(value) - set(hints):
        raise WrongArgument(f"{inside}{min(unknown)}", "is not known")
    for field in fields(kind):
        if field.name not in value and field.default is MISSING:
            raise WrongArgument(f"{inside}{field.name}", "is missing")
    return kind(**{one: read(found, hints[one], f"{inside}{one}", is_text=False) for one, found in value.items()})
