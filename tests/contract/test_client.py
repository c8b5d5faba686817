"""The Space Invoices client: what it sends, what it makes of every answer, and what it never lets out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from quittance.errors import InDoubt, Park, QuittanceError, Retry
from quittance.space_invoices import OUTCOMES, PDF_READ_TIMEOUT_S, Exchange, SpaceInvoices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BASE_URL = "https://api.test/v9"
SECRET = "sk_sandbox_secret"
BODY = b'{"expected_total_with_tax":123.45,"note":"sent as it is \xc3\xa9"}'
Answer = httpx.Response | Exception


class Api:
    """Answers in the order given, the last one again and again, and keeps what it was sent."""

    def __init__(self, *answers: Answer | Callable[[httpx.Request], httpx.Response]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.exchanges: list[Exchange] = []
        self.client = SpaceInvoices(
            BASE_URL, lambda: SECRET, transport=httpx.MockTransport(self._answer), observe=self.exchanges.append
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def create(self) -> dict[str, Any]:
        return self.client.create("/invoices", BODY, entity_id="ent_1", idempotency_key="key-1")

    def get(self) -> dict[str, Any]:
        return self.client.get("/invoices/inv_1", entity_id="ent_1")


def _json(body: object, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers=headers)


def _page(*data: dict[str, Any], next_cursor: str | None = None, has_more: bool | None = None) -> httpx.Response:
    more = next_cursor is not None if has_more is None else has_more
    return _json(
        {"data": list(data), "pagination": {"total": 0, "next_cursor": next_cursor, "prev_cursor": None, "has_more": more}}
    )


def _query(request: httpx.Request) -> Any:
    return json.loads(request.url.params["query"])


# What is sent


def test_a_create_sends_exactly_the_bytes_and_the_key_in_both_headers() -> None:
    api = Api(_json({"id": "inv_1"}, 201))
    assert api.create() == {"id": "inv_1"}
    [request] = api.requests
    assert (request.method, str(request.url), request.content) == ("POST", f"{BASE_URL}/invoices", BODY)
    assert request.headers["X-Request-Id"] == request.headers["Idempotency-Key"] == "key-1"
    assert request.headers["x-entity-id"] == "ent_1"
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Content-Type"] == "application/json"


def test_patch_and_delete_carry_the_key_too() -> None:
    api = Api(_json({"id": "ent_1"}), httpx.Response(204))
    api.client.patch("/entities/ent_1", BODY, entity_id=None, idempotency_key="key-1")
    api.client.delete("/payments/pmt_1", entity_id="ent_1", idempotency_key="key-2")
    assert [request.method for request in api.requests] == ["PATCH", "DELETE"]
    assert [request.headers["X-Request-Id"] for request in api.requests] == ["key-1", "key-2"]
    assert [request.headers["Idempotency-Key"] for request in api.requests] == ["key-1", "key-2"]
    assert [request.content for request in api.requests] == [BODY, b""]
    assert "x-entity-id" not in api.requests[0].headers


def test_reads_never_carry_an_idempotency_header() -> None:
    api = Api(_json({"id": "inv_1"}), httpx.Response(200, content=b"%PDF-1.7"), _page(), _page(), _page())
    api.get()
    api.client.pdf("inv_1", entity_id="ent_1")
    api.client.find_by_metadata("invoices", {"payment_id": "pay_1"}, entity_id="ent_1")
    list(api.client.pages("invoices", entity_id="ent_1"))
    assert len(api.requests) == 5
    for request in api.requests:
        assert request.method == "GET"
        assert not {"x-request-id", "idempotency-key"} & set(request.headers)


@pytest.mark.parametrize("key", ["", "x" * 65, "a b", "a\n", "ä", "a.b", "a\r\nX-Entity-Id: ent_2"])
def test_an_impossible_idempotency_key_is_not_sent(key: str) -> None:
    api = Api(_json({"id": "inv_1"}))
    with pytest.raises(ValueError, match="idempotency key"):
        api.client.create("/invoices", BODY, entity_id="ent_1", idempotency_key=key)
    assert api.requests == []


def test_the_longest_key_is_sent() -> None:
    api = Api(_json({"id": "inv_1"}))
    api.client.create("/invoices", BODY, entity_id="ent_1", idempotency_key="aZ0_-" * 12 + "abcd")
    assert len(api.requests[0].headers["Idempotency-Key"]) == 64


@pytest.mark.parametrize("entity_id", ["", "ent 1", "ent_1\r\nX: y", "ent_é"])
def test_an_impossible_entity_id_is_parked_unsent(entity_id: str) -> None:
    api = Api(_json({"id": "inv_1"}))
    with pytest.raises(Park, match="api_refused"):
        api.client.create("/invoices", BODY, entity_id=entity_id, idempotency_key="key-1")
    assert api.requests == []


@pytest.mark.parametrize("key", ["sk\nlive", "sk_é"])
def test_a_key_that_no_header_can_carry_waits_for_repair(key: str) -> None:
    sent: list[httpx.Request] = []
    transport = httpx.MockTransport(lambda request: sent.append(request) or httpx.Response(200))  # type: ignore[func-returns-value]
    with pytest.raises(Retry, match="api_refused_key") as caught:
        SpaceInvoices(BASE_URL, lambda: key, transport=transport).get("/invoices", entity_id=None)
    assert sent == []
    assert key not in repr(caught.value)


def test_the_key_is_asked_for_every_time() -> None:
    keys = ["old", "new"]
    api = Api(_json({}))
    api.client = SpaceInvoices(BASE_URL, lambda: keys.pop(0), transport=httpx.MockTransport(api._answer))
    api.get()
    api.get()
    assert [request.headers["Authorization"] for request in api.requests] == ["Bearer old", "Bearer new"]


def test_no_proxy_and_no_credentials_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:1")
    monkeypatch.setenv("NETRC", "somewhere")
    client = SpaceInvoices("http://127.0.0.1:1", lambda: SECRET)
    assert client._client.trust_env is False


def test_timeouts_are_those_given_and_longer_for_a_pdf() -> None:
    api = Api(httpx.Response(200, content=b"%PDF-1.7"))
    api.client = SpaceInvoices(
        BASE_URL,
        lambda: SECRET,
        transport=httpx.MockTransport(api._answer),
        connect_timeout_s=1,
        read_timeout_s=2,
    )
    api.client.pdf("inv_1", entity_id="ent_1")
    api.answers = [_json({})]
    api.get()
    timeouts = [request.extensions["timeout"] for request in api.requests]
    assert [(timeout["connect"], timeout["read"]) for timeout in timeouts] == [(1, PDF_READ_TIMEOUT_S), (1, 2)]


def test_parameters_and_decimals_of_a_read() -> None:
    api = Api(httpx.Response(200, content=b'{"total":1234567890.13,"count":3}'))
    assert api.client.get("/invoices", entity_id=None, params={"type": "invoice"}) == {
        "total": Decimal("1234567890.13"),
        "count": 3,
    }
    assert str(api.requests[0].url) == f"{BASE_URL}/invoices?type=invoice"


# What becomes of answers


class Expected:
    """One row of the table of outcomes."""

    def __init__(self, answer: Answer, on_mutation: QuittanceError, on_read: QuittanceError) -> None:
        self.answer = answer
        self.on_mutation = on_mutation
        self.on_read = on_read


def _both(answer: Answer, failure: QuittanceError) -> Expected:
    return Expected(answer, failure, failure)


def _doubtful(answer: Answer, code: str, delay_s: int | None = None) -> Expected:
    return Expected(answer, InDoubt(code, delay_s=delay_s), Retry(code, delay_s=delay_s))


TABLE = {
    "cannot connect": _both(httpx.ConnectError("refused"), Retry("api_unreachable")),
    "connect timeout": _both(httpx.ConnectTimeout("slow"), Retry("api_unreachable")),
    "no connection free": _both(httpx.PoolTimeout("busy"), Retry("api_unreachable")),
    "not a URL": _both(httpx.UnsupportedProtocol("ftp"), Retry("api_unreachable")),
    "read timeout": _doubtful(httpx.ReadTimeout("slow"), "api_no_answer"),
    "write timeout": _doubtful(httpx.WriteTimeout("slow"), "api_no_answer"),
    "reset while reading": _doubtful(httpx.ReadError("reset"), "api_no_answer"),
    "reset while writing": _doubtful(httpx.WriteError("reset"), "api_no_answer"),
    "closed": _doubtful(httpx.RemoteProtocolError("closed"), "api_no_answer"),
    "content that does not decode": _doubtful(httpx.DecodingError("gzip"), "api_unreadable_answer"),
    "redirect": _both(httpx.Response(307, headers={"Location": "https://elsewhere.test"}), Retry("api_redirected", delay_s=300)),
    "400": _both(_json({"code": "bad_request"}, 400), Park("api_refused", "400 bad_request")),
    "401": _both(_json({"code": "unauthorized"}, 401), Retry("api_refused_key", "401 unauthorized", delay_s=300)),
    "402": _both(httpx.Response(402), Park("api_refused", "402")),
    "403": _both(_json({"code": "forbidden"}, 403), Retry("api_refused_key", "403 forbidden", delay_s=300)),
    "404": _both(_json({"code": "not_found"}, 404), Park("api_not_found", "404 not_found")),
    "408": _doubtful(httpx.Response(408), "api_server_error"),
    "409": _doubtful(_json({"code": "conflict"}, 409), "api_conflict"),
    "413": _both(httpx.Response(413), Park("api_refused", "413")),
    "422": _both(_json({"code": "validation_error"}, 422), Park("api_refused", "422 validation_error")),
    "429": _both(httpx.Response(429), Retry("api_rate_limited", delay_s=60)),
    "500": _doubtful(httpx.Response(500), "api_server_error"),
    "501": _both(_json({"code": "not_implemented"}, 501), Park("api_refused", "501 not_implemented")),
    "502": _doubtful(httpx.Response(502), "api_server_error"),
    "503": _doubtful(httpx.Response(503), "api_server_error"),
    "503 that says when": _doubtful(httpx.Response(503, headers={"Retry-After": "7"}), "api_server_error", 7),
    "504": _doubtful(httpx.Response(504), "api_server_error"),
    "522": _doubtful(httpx.Response(522), "api_server_error"),
    "not JSON": _doubtful(httpx.Response(200, content=b"<html>"), "api_unreadable_answer"),
    "empty": _doubtful(httpx.Response(201), "api_unreadable_answer"),
    "a list": _doubtful(_json([{"id": "inv_1"}], 201), "api_unreadable_answer"),
    "not a number": _doubtful(httpx.Response(200, content=b'{"total": NaN}'), "api_unreadable_answer"),
    "cut off": _doubtful(httpx.Response(200, content=b'{"id": "inv'), "api_unreadable_answer"),
    "not text": _doubtful(httpx.Response(200, content=b'{"id": "\xff"}'), "api_unreadable_answer"),
    "nested beyond reason": _doubtful(httpx.Response(200, content=b'{"a":' + b"[" * 100_000), "api_unreadable_answer"),
}


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("mutation", [True, False], ids=["create", "get"])
def test_every_answer_without_a_result_has_its_outcome(name: str, mutation: bool) -> None:
    expected = TABLE[name].on_mutation if mutation else TABLE[name].on_read
    api = Api(TABLE[name].answer)
    with pytest.raises(QuittanceError) as caught:
        api.create() if mutation else api.get()
    assert type(caught.value) is type(expected)
    assert caught.value.code == expected.code
    assert getattr(caught.value, "delay_s", None) == getattr(expected, "delay_s", None)
    if isinstance(expected, Park):
        assert str(caught.value) == str(expected)
    assert len(api.requests) == 1


def test_every_status_that_is_no_success_has_an_outcome() -> None:
    statuses = [status for status in range(100, 1000) if not 200 <= status < 300]
    assert all(any(status in statuses_of_row for statuses_of_row, _ in OUTCOMES) for status in statuses)


def test_a_delete_needs_no_body_and_is_in_doubt_like_a_create() -> None:
    api = Api(httpx.Response(204), httpx.Response(200, content=b"gone"), httpx.ReadTimeout("slow"))
    arguments = {"entity_id": "ent_1", "idempotency_key": "key-1"}
    api.client.delete("/payments/pmt_1", **arguments)
    api.client.delete("/payments/pmt_1", **arguments)
    with pytest.raises(InDoubt, match="api_no_answer"):
        api.client.delete("/payments/pmt_1", **arguments)


def test_what_is_not_there_any_more_is_deleted_but_a_refusal_is_none() -> None:
    api = Api(_json({"code": "not_found"}, 404), httpx.Response(422))
    arguments = {"entity_id": "ent_1", "idempotency_key": "key-1"}
    api.client.delete("/payments/pmt_1", **arguments)
    with pytest.raises(Park, match="api_refused"):
        api.client.delete("/payments/pmt_1", **arguments)


@pytest.mark.parametrize(
    ("retry_after", "low", "high"),
    [
        ("1", 1, 1),
        ("0", 1, 1),
        ("120", 120, 120),
        ("999999", 3600, 3600),
        (600, 500, 600),
        (-600, 1, 1),
        (90_000, 3600, 3600),
        ("soon", 60, 60),
        ("-5", 60, 60),
        ("1.5", 60, 60),
        ("", 60, 60),
        ("9" * 5000, 60, 60),
        ("Fri, 20 Nov 2026 10:00:00 -0000", 60, 60),
    ],
)
def test_the_pause_asked_for_is_kept_within_reason(retry_after: str | int, low: int, high: int) -> None:
    """As text, or as so many seconds from now, written as a date."""
    if isinstance(retry_after, int):
        retry_after = format_datetime(datetime.now(UTC) + timedelta(seconds=retry_after), usegmt=True)
    with pytest.raises(Retry) as caught:
        Api(httpx.Response(429, headers={"Retry-After": retry_after})).create()
    assert caught.value.delay_s is not None
    assert low <= caught.value.delay_s <= high


REFUSALS = [
    (
        {"issues": [{"path": ["customer", "email"], "message": "ada@example.com is no address", "code": "invalid"}]},
        "customer.email",
    ),
    ({"issues": [{"path": ["items", 0, "name"]}, {"path": []}, {"message": "no path"}, "odd"]}, "items.0.name "),
    ({"issues": [{"path": ["metadata", "ada@example.com"]}]}, "metadata.?"),
    (
        {"customer": {"email": {"_errors": ["ada@example.com is no address"]}, "_errors": []}, "_errors": ["all"]},
        "customer.email",
    ),
    ({"date": {"_errors": ["Required"]}, "items": {"0": {"quantity": {"_errors": ["ada"]}}}}, "date items.0.quantity"),
    ("ada@example.com", None),
    ({"issues": [{"path": [f"field{number}"]} for number in range(50)]}, " ".join(f"field{number}" for number in range(10))),
]


@pytest.mark.parametrize(("cause", "paths"), REFUSALS)
def test_a_refusal_names_fields_and_no_values(cause: object, paths: str | None) -> None:
    body = {"code": "validation_error", "message": "ada@example.com is no address", "cause": cause, "request_id": "r"}
    with pytest.raises(Park) as caught:
        Api(_json(body, 422)).create()
    assert str(caught.value) == "api_refused: 422 validation_error" + ("" if paths is None else f" {paths}")


def test_an_error_code_that_is_a_sentence_is_not_repeated() -> None:
    with pytest.raises(Park, match=r"^api_refused: 400 \?$"):
        Api(_json({"code": "ada@example.com is no address"}, 400)).create()


@pytest.mark.parametrize("answer", [httpx.LocalProtocolError(f"Illegal header value {SECRET}"), _json({"message": SECRET}, 401)])
def test_the_key_is_in_no_failure(answer: Answer) -> None:
    with pytest.raises(QuittanceError) as caught:
        Api(answer).create()
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# PDF


def test_a_pdf_is_returned_as_it_is() -> None:
    api = Api(httpx.Response(200, content=b"%PDF-1.7 ..."))
    assert api.client.pdf("cre_1", entity_id="ent_1") == b"%PDF-1.7 ..."
    assert api.requests[0].url.path == "/v9/documents/cre_1/pdf"


def test_an_error_in_place_of_a_pdf_is_not_a_pdf() -> None:
    with pytest.raises(Retry, match="api_unreadable_answer"):
        Api(_json({"code": "not_ready"})).client.pdf("inv_1", entity_id="ent_1")


def test_an_id_cannot_lead_to_another_path() -> None:
    api = Api(httpx.Response(200, content=b"%PDF"))
    api.client.pdf("../entities?x", entity_id="ent_1")
    assert api.requests[0].url.raw_path == b"/v9/documents/..%2Fentities%3Fx/pdf"


# Looking up by metadata

WANTED = {"payment_id": "pay_1", "document_key": "sale"}
MINE = {"id": "inv_1", "metadata": WANTED | {"policy": "1"}}
OTHER = {"id": "inv_2", "metadata": {"payment_id": "pay_1", "document_key": "other"}}
BARE = {"id": "inv_3", "metadata": None}
NESTED = {"metadata": {"payment_id": {"equals": "pay_1"}, "document_key": {"equals": "sale"}}}
DOTTED = {"metadata.payment_id": {"equals": "pay_1"}, "metadata.document_key": {"equals": "sale"}}
REFUSED = _json({"code": "bad_request"}, 400)

LOOK_UPS: dict[str, tuple[Sequence[httpx.Response], list[dict[str, Any]] | type[QuittanceError], list[Any]]] = {
    "found": ([_page(MINE)], [MINE], [NESTED]),
    "found twice": ([_page(MINE, MINE)], [MINE, MINE], [NESTED]),
    "found by the other spelling": ([_page(), _page(MINE)], [MINE], [NESTED, DOTTED]),
    "found where one spelling is refused": ([REFUSED, _page(MINE)], [MINE], [NESTED, DOTTED]),
    "found where one spelling is ignored": ([_page(OTHER, next_cursor="c"), _page(MINE)], [MINE], [NESTED, DOTTED]),
    "found among others": ([_page(OTHER, MINE, BARE, next_cursor="c")], [MINE], [NESTED]),
    "absent": ([_page(), _page()], [], [NESTED, DOTTED]),
    "absent where one spelling is refused": ([REFUSED, _page()], [], [NESTED, DOTTED]),
    "absent where the other is refused": ([_page(), REFUSED], [], [NESTED, DOTTED]),
    "absent where one is ignored": ([_page(OTHER, next_cursor="c"), _page()], [], [NESTED, DOTTED]),
    "absent where the other is ignored": ([_page(), _page(BARE, next_cursor="c")], [], [NESTED, DOTTED]),
    "absent from all there is": ([_page(OTHER, BARE)], [], [NESTED]),
    "both ignored": ([_page(OTHER, next_cursor="c"), _page(BARE, next_cursor="c")], Retry, [NESTED, DOTTED]),
    "ignored and refused": ([_page(OTHER, next_cursor="c"), REFUSED], Park, [NESTED, DOTTED]),
    "both refused": ([REFUSED, REFUSED], Park, [NESTED, DOTTED]),
    "no page": ([_json({"data": None})], Retry, [NESTED]),
    "the API is down": ([httpx.Response(503)], Retry, [NESTED]),
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_a_look_up_finds_what_is_there_and_nothing_else(name: str) -> None:
    answers, expected, queries = LOOK_UPS[name]
    api = Api(*answers)
    if isinstance(expected, list):
        assert api.client.find_by_metadata("invoices", WANTED, entity_id="ent_1") == expected
    else:
        with pytest.raises(expected):
            api.client.find_by_metadata("invoices", WANTED, entity_id="ent_1")
    assert [_query(request) for request in api.requests] == queries
    assert all(request.url.params["limit"] == "100" for request in api.requests)


def test_a_spelling_that_found_something_is_trusted_when_it_finds_nothing() -> None:
    api = Api(_page(), _page(MINE), _page())
    assert api.client.find_by_metadata("invoices", WANTED, entity_id="ent_1") == [MINE]
    assert api.client.find_by_metadata("invoices", {"payment_id": "pay_2"}, entity_id="ent_1") == []
    assert [next(iter(_query(request))) for request in api.requests] == ["metadata", "metadata.payment_id", "metadata.payment_id"]
    assert api.client.find_by_metadata("credit-notes", WANTED, entity_id="ent_1") == []
    assert len(api.requests) == 5


def test_a_spelling_that_found_something_among_others_is_not_trusted() -> None:
    api = Api(_page(OTHER, MINE, next_cursor="c"), _page(), _page(MINE))
    assert api.client.find_by_metadata("invoices", WANTED, entity_id="ent_1") == [MINE]
    assert api.client.find_by_metadata("invoices", WANTED, entity_id="ent_1") == [MINE]
    assert [_query(request) for request in api.requests] == [NESTED, NESTED, DOTTED]


def test_a_trusted_spelling_that_is_ignored_later_is_noticed() -> None:
    api = Api(_page(MINE), _page(OTHER, next_cursor="c"))
    assert api.client.find_by_metadata("invoices", WANTED, entity_id="ent_1") == [MINE]
    with pytest.raises(Retry, match="api_filter_ignored"):
        api.client.find_by_metadata("invoices", WANTED, entity_id="ent_1")


# Pages


def test_all_pages_are_followed_by_their_cursor() -> None:
    api = Api(_page({"id": "a"}, {"id": "b"}, next_cursor="one"), _page({"id": "c"}, next_cursor="two"), _page({"id": "d"}))
    found = api.client.pages("payments", entity_id="ent_1", order_by="-created_at", query={"invoice_id": "inv_1"})
    assert [payment["id"] for payment in found] == ["a", "b", "c", "d"]
    assert [request.url.params.get("next_cursor") for request in api.requests] == [None, "one", "two"]
    for request in api.requests:
        assert (request.url.params["limit"], request.url.params["order_by"]) == ("100", "-created_at")
        assert _query(request) == {"invoice_id": "inv_1"}


def test_the_next_page_is_asked_for_only_when_it_is_needed() -> None:
    api = Api(_page({"id": "a"}, next_cursor="one"), _page({"id": "b"}))
    pages = api.client.pages("invoices", entity_id="ent_1")
    assert next(pages) == {"id": "a"}
    assert len(api.requests) == 1


def test_a_page_without_pagination_is_the_only_one() -> None:
    assert list(Api(_json({"data": [{"id": "a"}]})).client.pages("entities", entity_id=None)) == [{"id": "a"}]


@pytest.mark.parametrize(
    "broken",
    [
        _page({"id": "b"}, next_cursor="one"),
        _page({"id": "b"}, has_more=True),
        _json({"data": [{"id": "b"}] * 100}),
        _json({"data": ["b"]}),
        _json({"pagination": {}}),
        _json({"data": [], "pagination": []}),
    ],
    ids=["the same cursor again", "no cursor", "full without pagination", "not objects", "no data", "odd pagination"],
)
def test_pages_never_end_early_in_silence(broken: httpx.Response) -> None:
    api = Api(_page({"id": "a"}, next_cursor="one"), broken)
    with pytest.raises(Retry, match="api_unreadable_answer"):
        list(api.client.pages("invoices", entity_id="ent_1"))
    assert len(api.requests) == 2


# What may be logged


def test_every_request_is_reported_without_ids_or_content() -> None:
    api = Api(
        _json({"id": "inv_1"}, 201, **{"X-Request-Id": "r" * 100}),
        httpx.ReadTimeout("slow"),
        httpx.Response(200, content=b"%PDF"),
    )
    api.create()
    with pytest.raises(Retry):
        api.client.get("/payments/pmt_1?secret=1", entity_id="ent_1", params={"query": "private"})
    api.client.pdf("inv_65f", entity_id="ent_1")
    assert [(e.method, e.route, e.status, e.request_id) for e in api.exchanges] == [
        ("POST", "/invoices", 201, "r" * 64),
        ("GET", "/payments/{id}", None, None),
        ("GET", "/documents/{id}/pdf", 200, None),
    ]
    assert all(exchange.duration_ms >= 0 for exchange in api.exchanges)


def test_what_was_asked_is_told_once_with_its_outcome() -> None:
    api = Api(_json({"id": "inv_1"}, 201), _json({}, 404), httpx.ReadTimeout("slow"))
    api.create()
    for failure in (Park, Retry):
        with pytest.raises(failure):
            api.client.get("/invoices/inv_1", entity_id="ent_1")
    told = [(one.method, one.route, one.outcome) for one in api.client.exchanged()]
    route = "/invoices/{id}"
    assert told == [("POST", "/invoices", "ok"), ("GET", route, "api_not_found"), ("GET", route, "api_no_answer")]
    assert api.client.exchanged() == []
