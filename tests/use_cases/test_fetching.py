"""Objects that deliveries only named: fetched, translated, handed on; and whatever stands in the way."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from quittance import fetching
from quittance.errors import Park, Reject, Retry
from quittance.fetching import Fetcher
from quittance.provider_api import LONGEST_PAUSE_S, ProviderApi
from quittance.providers import FetchedFor, Reference, Translation, fetching_provider
from quittance.runtime.queues import delivery_messages
from quittance.runtime.secrets import Connections
from tests.unit.stories import succeeded

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLD = FetchedFor(connection="shop", event_id="evt_1", event_type="payment.changed", account="acct_1")
PAID = Translation(event_id="evt_1", event_type="payment.changed", account="acct_1", facts=(succeeded(),))


class Module:
    """A provider whose every object is a payment."""

    API_BASE_URL = "https://api.provider.example"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.found = PAID

    def api_headers(self, api_key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {api_key}"}

    def fetch(self, reference: Reference, api: Any, settings: Mapping[str, Any], told: FetchedFor) -> tuple[Translation, ...]:
        assert (settings, told) == (api.settings, TOLD)
        self.asked.append((reference.object, reference.id))
        if self.error:
            raise self.error
        return (self.found,)


class Case:
    """A fetcher, what it was given, and what it handed on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, api_key: str = "key", **settings: str) -> None:
        self.module = Module()
        self.handed_on: list[tuple[str, str, Translation]] = []
        self.skipped: list[tuple[str, str]] = []
        self.apis: list[tuple[str, Mapping[str, str]]] = []
        monkeypatch.setattr(fetching, "fetching_provider", lambda _: self.module)

        def api(base_url: str, headers: Mapping[str, str]) -> Any:
            self.apis.append((base_url, headers))
            return SimpleNamespace(settings=settings)

        self.fetcher = Fetcher(
            access=lambda *_: SimpleNamespace(api_key=api_key, settings=settings),
            api=api,
            hand_on=lambda *given: self.handed_on.append(given),
            skipped=lambda *given: self.skipped.append(given),
        )

    def take(self, *, optional: bool = False) -> list[tuple[str, str, Translation]]:
        self.fetcher.take("provider", Reference("payment", "pay_1", optional=optional), TOLD)
        return self.handed_on


def test_an_object_is_fetched_with_the_connections_key_and_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    assert case.take() == [("provider", "shop", PAID)]
    assert case.module.asked == [("payment", "pay_1")]
    assert case.apis == [("https://api.provider.example", {"Authorization": "Bearer key"})]
    case.take()
    assert len(case.apis) == 1


def test_a_connection_may_name_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch, api_base_url="http://127.0.0.1:9")
    case.take()
    assert case.apis[0][0] == "http://127.0.0.1:9"


def test_without_a_key_the_event_is_kept_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch, api_key="")
    ((_, _, translation),) = case.take()
    assert (translation.ignored, translation.event_id, case.apis) == ("api_key_missing", "evt_1", [])


def test_an_object_that_does_not_exist_is_kept_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    case.module.error = Park("object_not_found")
    ((_, _, translation),) = case.take()
    assert translation.ignored == "object_not_found"


def test_an_optional_object_is_fetched_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    assert case.take(optional=True) == [("provider", "shop", PAID)]
    assert case.skipped == []


def test_an_optional_object_that_cannot_be_had_is_only_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    without_key, absent, told_nothing = Case(monkeypatch, api_key=""), Case(monkeypatch), Case(monkeypatch)
    absent.module.error = Park("object_not_found")
    told_nothing.module.found = replace(PAID, facts=(), ignored="payout_pending")
    reasons = {"api_key_missing": without_key, "object_not_found": absent, "payout_pending": told_nothing}
    for reason, case in reasons.items():
        monkeypatch.setattr(fetching, "fetching_provider", lambda _, case=case: case.module)
        assert case.take(optional=True) == []
        assert case.skipped == [("provider", reason)]


def test_an_optional_object_is_waited_for_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    case.module.error = Retry("provider_unavailable")
    with pytest.raises(Retry):
        case.take(optional=True)


def test_a_key_that_reaches_other_accounts_names_the_one_that_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    vars(case.module)["account_headers"] = lambda account: {"Account": account}
    case.take()
    assert case.apis[0][1] == {"Authorization": "Bearer key", "Account": "acct_1"}


def test_what_may_be_had_later_is_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(monkeypatch)
    case.module.error = Retry("provider_unavailable")
    with pytest.raises(Retry):
        case.take()
    assert case.handed_on == []


def test_a_provider_that_sends_whole_objects_has_nothing_to_fetch() -> None:
    with pytest.raises(Reject, match="provider_unknown"):
        fetching_provider("platform")


def test_facts_and_what_to_fetch_are_both_queued() -> None:
    named = Translation(
        event_id="evt_1", event_type="x", account="acct_1", facts=(succeeded(),), fetch=(Reference("invoice", "in_1"),)
    )
    fact, fetch = delivery_messages("stripe", "shop", named, "2026-11-20T10:00:00Z")
    assert (fact.function, fetch.function) == ("payment_succeeded", "object_fetched")
    assert '"connection":"shop"' in fetch.body


# --- the API of a provider -----------------------------------------------------------------------------------------------


def api(answer: httpx.Response | Exception) -> ProviderApi:
    def respond(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer key"
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ProviderApi("https://api.example/v2/", {"Authorization": "Bearer key"}, transport=httpx.MockTransport(respond))


def test_an_answer_is_read_like_a_delivery() -> None:
    answer = httpx.Response(200, text='{"amount": 1010, "refunds": [{"amount": null, "reason": "é"}]}')
    assert api(answer).get("payments/1") == {"amount": 1010, "refunds": [{"reason": "é"}]}


@pytest.mark.parametrize(
    ("answer", "failure", "code", "delay_s"),
    [
        (httpx.Response(404), Park, "object_not_found", None),
        (httpx.Response(422), Park, "object_not_found", None),
        (httpx.Response(401), Retry, "provider_refused_key", 300),
        (httpx.Response(429, headers={"Retry-After": "7"}), Retry, "provider_unavailable", 7),
        (httpx.Response(503, headers={"Retry-After": "999999"}), Retry, "provider_unavailable", LONGEST_PAUSE_S),
        (httpx.Response(500), Retry, "provider_unavailable", None),
        (httpx.ReadTimeout("slow"), Retry, "provider_unreachable", None),
        (httpx.Response(200, text="<html>"), Retry, "provider_unreadable_answer", None),
        (httpx.Response(200, text="[]"), Retry, "provider_unreadable_answer", None),
        (httpx.Response(200, text='{"a":' * 20_000), Retry, "provider_unreadable_answer", None),
        (httpx.Response(200, text='{"amount": NaN}'), Retry, "provider_unreadable_answer", None),
        (httpx.Response(200, text='{"id": "\\ud800"}'), Retry, "provider_unreadable_answer", None),
    ],
)
def test_every_other_end_is_sorted_by_what_to_do_next(answer: Any, failure: type, code: str, delay_s: int | None) -> None:
    with pytest.raises(failure, match=code) as caught:
        api(answer).get("payments/1")
    assert getattr(caught.value, "delay_s", None) == delay_s


def test_a_key_is_read_only_by_who_asks_for_it() -> None:
    class Store:
        def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> Any:  # noqa: N803 - SSM's names
            assert WithDecryption
            return {"Parameters": [{"Name": name, "Value": "{}" if name.endswith("settings") else name} for name in Names]}

    assert Connections(Store(), "/q").get("mollie", "shop").api_key == ""
    for_api = Connections(Store(), "/q", with_api_key=True).get("mollie", "shop")
    assert (for_api.api_key, for_api.secrets) == ("/q/mollie/shop/api-key", ())


def test_who_reads_an_api_needs_no_secret_to_be_there() -> None:
    class Empty:
        def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> Any:  # noqa: ARG002, N803 - SSM's names
            return {"Parameters": []}

    assert Connections(Empty(), "/q", with_api_key=True).get("stripe", "bus").api_key == ""
    with pytest.raises(Reject, match="connection_unknown"):
        Connections(Empty(), "/q").get("stripe", "bus")
