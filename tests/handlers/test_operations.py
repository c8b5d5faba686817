"""The operators' API: what it answers, whom it refuses, and what it writes down."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import pytest

from quittance.errors import Retry
from quittance.facts import Payer
from quittance.operations.audit import audit_pk
from quittance.operations.pages import opaque
from quittance.runtime.letters import pairs_of
from quittance.runtime.redrive import DeadLetters, Redriven
from quittance.runtime.table import INDEX_NAME, DynamoTable
from quittance.storage import Keys, Put
from tests.unit.stories import refund, succeeded
from tests.use_cases.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

TABLE = "ledger"
BUCKET = "reports"
CALLER = "arn:aws:iam::123456789012:user/finance"
PAYER = "Ada Lovelace"
FINDING = Keys("RECONCILIATION#bc_1", "FINDING#waiting_too_long#1")


@dataclass
class Answer:
    status: int
    content_type: str
    raw: str
    is_base64: bool

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Api:
    """The function, called as API Gateway calls it."""

    module: ModuleType
    world: World
    sqs: Any
    urls: dict[str, str]
    calls: Counter[str] = field(default_factory=Counter)

    def call(self, method: str, path: str, body: Any = None, *, caller: str | None = CALLER, **query: str) -> Answer:
        self.calls.update([f"{method} {path}"])
        text = body if isinstance(body, str) else json.dumps(body) if body is not None else None
        event = {
            "resource": path,
            "path": path,
            "httpMethod": method,
            "headers": {},
            "multiValueHeaders": {},
            "queryStringParameters": query or None,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
            # Real ones say nothing of the order either.
            "requestContext": {"requestId": f"request-{99 - self.calls.total()}", "identity": {"userArn": caller}},
            # As the API's binary media types have it.
            "body": base64.b64encode(text.encode()).decode() if text else None,
            "isBase64Encoded": bool(text),
        }
        answer = self.module.handler(event, None)
        return Answer(
            answer["statusCode"], answer["multiValueHeaders"]["Content-Type"][0], answer["body"], answer["isBase64Encoded"]
        )

    def get(self, path: str, **query: str) -> Answer:
        return self.call("GET", path, **query)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.call("POST", path, body)

    def queued(self, function: str = "payment_revisited") -> list[Any]:
        answer = self.sqs.receive_message(QueueUrl=self.urls[function], MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", ())]

    def copy(self) -> None:
        """What the world's ledger holds is in the table."""
        for item in self.world.table.items():
            self.table.commit([Put(item)])

    def put(self, keys: Keys, **attributes: Any) -> None:
        self.table.commit([Put({"pk": keys.pk, "sk": keys.sk} | attributes)])

    @property
    def table(self) -> DynamoTable:
        return DynamoTable(TABLE)

    @property
    def audit(self) -> list[dict[str, Any]]:
        return list(self.get("/operations/audit").body["entries"])


@pytest.fixture(scope="module", autouse=True)
def clients_made_once() -> Iterator[None]:
    """Making one costs more than any test."""
    make: Any = boto3.client
    made: dict[tuple[str, int], Any] = {}

    def client(service: str, config: Any = None) -> Any:
        if (service, id(config)) not in made:
            made[service, id(config)] = make(service, config=config)
        return made[service, id(config)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", client)
        yield


@pytest.fixture
def api(emulator: Any, load_function: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Api:
    emulator.reset()
    sqs = boto3.client("sqs")
    for function in ("payment_succeeded", "payment_revisited"):
        for ending in ("", "-DeadLetters"):
            sqs.create_queue(QueueName=f"{function}{ending}.fifo", Attributes={"FifoQueue": "true"})
    urls = {name: sqs.get_queue_url(QueueName=f"{name}.fifo")["QueueUrl"] for name in ("payment_succeeded", "payment_revisited")}
    keys: Any = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    index: Any = {
        "IndexName": INDEX_NAME,
        "KeySchema": [{"AttributeName": "reference", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    attributes: Any = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "reference")]
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=keys,
        AttributeDefinitions=attributes,
        GlobalSecondaryIndexes=[index],
    )
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    environment = {"TABLE_NAME": TABLE, "REPORTS_BUCKET": BUCKET, "QUEUE_URLS": json.dumps(urls)}
    environment |= {"SPACE_INVOICES_BASE_URL": "http://none.invalid", "SPACE_INVOICES_API_KEY_PARAMETER": "/key"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    world = World()
    world.register()
    module = load_function("operations")
    module._operations.space_invoices = world.api
    monkeypatch.setattr(module, "LOOKS_FOR_S", 5.0)
    monkeypatch.setattr(module, "REDRIVES_FOR_S", 5.0)
    return Api(module, world, sqs, urls)


ROUTES = [
    ("GET", "/operations/payments"),
    ("GET", "/operations/payments/pi_1"),
    ("GET", "/operations/documents/inv_1"),
    ("GET", "/operations/documents/inv_1/pdf"),
    ("GET", "/operations/findings"),
    ("POST", "/operations/findings/f_1/approve"),
    ("POST", "/operations/findings/f_1/acknowledge"),
    ("POST", "/operations/replay"),
    ("GET", "/operations/dead-letters"),
    ("POST", "/operations/redrive"),
    ("GET", "/operations/reports"),
    ("GET", "/operations/reports/r_1"),
    ("GET", "/operations/audit"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_whom_iam_did_not_let_in_is_refused_here_too(api: Api, method: str, path: str) -> None:
    answer = api.call(method, path, {} if method == "POST" else None, caller=None)
    assert (answer.status, answer.body["code"]) == (403, "caller_unknown")
    assert api.queued() == []


def test_every_route_is_tested_for_its_callers(api: Api) -> None:
    declared = {(route.method, route.path) for route in (*api.module.app._static_routes, *api.module.app._dynamic_routes)}
    assert len(declared) == len(ROUTES)


# --- payments and documents ----------------------------------------------------------------------------------------------


def test_a_payment_is_explained_by_what_is_known_of_it(api: Api) -> None:
    payment = succeeded(payer=Payer(name=PAYER))
    api.world.take(payment)
    api.copy()
    [document] = api.world.held("invoices")
    path = f"/operations/payments/{payment.case_ids[0]}"
    by_account = api.get(path, provider=payment.provider, account=payment.account)
    assert by_account.status == 200
    [explained] = by_account.body["explanations"]
    assert [one["id"] for one in explained["documents"]] == [document["id"]]
    assert api.get(path, business_customer="bc_1").body == by_account.body
    for known in (document["id"], f"evt_{payment.identity}"):
        assert api.get(f"/operations/payments/{quote(known)}").body == by_account.body
    assert PAYER not in by_account.raw


def test_a_payment_id_alone_is_not_searched_for(api: Api) -> None:
    api.world.take(succeeded())
    api.copy()
    answer = api.get(f"/operations/payments/{succeeded().case_ids[0]}")
    assert (answer.status, answer.content_type) == (404, "application/problem+json")
    assert answer.body["code"] == "payment_unknown"


def test_payments_that_wait_are_shown_page_by_page(api: Api) -> None:
    for number in range(3):
        api.world.take(refund(f"re_{number}", 100, payment_id=f"pi_late_{number}"))
    api.copy()
    first = api.get("/operations/payments", waiting="true", limit="2").body
    second = api.get("/operations/payments", limit="2", cursor=first["next"]).body
    found = [*first["payments"], *second["payments"]]
    assert {one["payment_id"] for one in found} == {f"pi_late_{number}" for number in range(3)}
    assert all("waits for" in one["waiting"][0] for one in found)
    assert second["next"] is None


def test_a_document_leads_to_its_payment_and_can_be_printed(api: Api) -> None:
    api.world.take(succeeded())
    api.copy()
    [invoice] = api.world.held("invoices")
    document = api.get(f"/operations/documents/{invoice['id']}").body
    assert (document["number"], document["kind"], document["business_customer"]) == (invoice["number"], "invoice", "bc_1")
    assert document["payment_id"] == succeeded().case_ids[0]
    printed = api.get(f"/operations/documents/{invoice['id']}/pdf")
    assert (printed.status, printed.content_type, printed.is_base64) == (200, "application/pdf", True)
    assert base64.b64decode(printed.raw).startswith(b"%PDF-")
    [entry] = api.audit
    assert (entry["action"], entry["by"], entry["asked"], entry["outcome"]) == (
        "print",
        CALLER,
        {"document": invoice["id"]},
        "done",
    )


@pytest.mark.parametrize("path", ["/operations/documents/inv_none", "/operations/documents/inv_none/pdf"])
def test_an_unknown_document_is_not_there(api: Api, path: str) -> None:
    assert (api.get(path).status, api.get(path).body["code"]) == (404, "document_unknown")


# --- findings ------------------------------------------------------------------------------------------------------------


def with_findings(api: Api) -> None:
    api.world.take(succeeded(), refund("re_1", 999_999))
    api.copy()
    said = {"code": "waiting_too_long", "subject": "pi_2", "opened_at": 1_795_000_000, "reference": "finding:open"}
    payment = {"provider": "stripe", "account": "acct_1", "payment_id": "pi_2"}
    api.put(FINDING, **said, **payment, severity="warning", repair="with_approval", amount={"value": 5, "currency": "EUR"})
    api.put(
        Keys("RECONCILIATION#bc_2", "FINDING#duplicate#1"), **said | {"code": "duplicate"}, severity="critical", repair="never"
    )


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ({}, {"returned_more_than_paid", "waiting_too_long", "duplicate"}),
        ({"severity": "critical"}, {"duplicate"}),
        ({"severity": "error"}, {"returned_more_than_paid"}),
        ({"code": "waiting_too_long"}, {"waiting_too_long"}),
        ({"business_customer": "bc_1"}, {"returned_more_than_paid", "waiting_too_long"}),
        ({"business_customer": "bc_1", "severity": "critical"}, set()),
    ],
)
def test_findings_are_those_that_are_asked_for(api: Api, asked: dict[str, str], codes: set[str]) -> None:
    with_findings(api)
    found = api.get("/operations/findings", **asked).body
    assert {one["code"] for one in found["findings"]} == codes
    assert all(one["proposal"] and one["business_customer"] for one in found["findings"])


def test_no_finding_is_lost_between_pages_even_if_few_are_wanted(api: Api) -> None:
    for number in range(25):
        code = "duplicate" if number % 5 == 0 else "orphan"
        keys = Keys("RECONCILIATION#bc_1", f"FINDING#{code}#{number:02}")
        api.put(keys, code=code, subject=str(number), opened_at=1, reference="finding:open")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/operations/findings", code="duplicate", limit="2", **cursor).body
        seen += [one["subject"] for one in page["findings"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert sorted(seen) == sorted(str(number) for number in range(0, 25, 5))


def test_a_finding_that_may_be_approved_is_repaired_by_the_pipeline(api: Api) -> None:
    with_findings(api)
    [finding] = api.get("/operations/findings", code="waiting_too_long").body["findings"]
    assert (finding["repair"], finding["amount"]) == ("with_approval", {"value": 5, "currency": "EUR"})
    assert api.post(f"/operations/findings/{finding['id']}/approve").body == {"queued": 1}
    [message] = api.queued()
    assert message["revisit"] == {"provider": "stripe", "account": "acct_1", "payment_id": "pi_2"}
    assert message["reason"] == "repair waiting_too_long"
    [entry] = api.audit
    assert (entry["action"], entry["outcome"], entry["came_of_it"]["payment_id"]) == ("approve", "done", "pi_2")


def test_what_only_a_person_can_put_right_is_not_approved(api: Api) -> None:
    with_findings(api)
    [finding] = api.get("/operations/findings", code="duplicate").body["findings"]
    answer = api.post(f"/operations/findings/{finding['id']}/approve")
    assert (answer.status, answer.body["code"]) == (409, "finding_not_repairable")
    assert answer.body["detail"] == finding["proposal"]
    assert api.queued() == []
    [entry] = api.audit
    assert (entry["outcome"], entry["came_of_it"]) == ("refused", {"code": "finding_not_repairable"})


@pytest.mark.parametrize(
    "finding_id", ["nonsense", "e30", str(opaque(Keys("RECONCILIATION#bc_1", "none"))), str(opaque(Keys("OWNER#x", "OWNER")))]
)
def test_what_is_no_standing_finding_is_not_there(api: Api, finding_id: str) -> None:
    api.put(Keys("OWNER#x", "OWNER"), business_customer="bc_1")
    assert api.post(f"/operations/findings/{finding_id}/approve").status == 404
    assert api.post(f"/operations/findings/{finding_id}/acknowledge", {"reason": "as agreed"}).status == 404


REASON = "credited by hand, Ada agreed"


def test_a_finding_is_acknowledged_with_who_and_why(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    with_findings(api)
    codes = {one["code"]: one["id"] for one in api.get("/operations/findings").body["findings"]}
    answer = api.post(f"/operations/findings/{codes['duplicate']}/acknowledge", {"reason": REASON})
    assert answer.status == 200
    given = answer.body["acknowledged"]
    assert (answer.body["code"], given["by"], given["reason"]) == ("duplicate", CALLER, REASON)
    left = api.get("/operations/findings").body["findings"]
    assert {one["code"] for one in left} == set(codes) - {"duplicate"}
    assert [one["acknowledged"] for one in left] == [None, None]
    [shown] = api.get("/operations/findings", acknowledged="true").body["findings"]
    assert shown == answer.body
    assert api.get("/operations/findings", acknowledged="true", severity="warning").body["findings"] == []
    [entry] = api.audit
    assert (entry["action"], entry["by"], entry["outcome"]) == ("acknowledge", CALLER, "done")
    assert entry["asked"] == {"finding": codes["duplicate"]}
    assert entry["came_of_it"] == {"code": "duplicate", "subject": "pi_2"}
    assert "Ada" not in "".join(capfd.readouterr())
    assert api.queued() == []


@pytest.mark.parametrize(("body", "field"), [({}, "reason"), ({"reason": ""}, "reason"), ({"reason": "x" * 501}, "reason")])
def test_a_reason_has_its_limits(api: Api, body: dict[str, str], field: str) -> None:
    with_findings(api)
    finding = api.get("/operations/findings").body["findings"][0]
    answer = api.post(f"/operations/findings/{finding['id']}/acknowledge", body)
    assert (answer.status, answer.body["errors"][0]["field"]) == (400, field)
    assert api.audit == []
    assert api.post(f"/operations/findings/{finding['id']}/acknowledge", {"reason": "x" * 500}).status == 200


def test_what_is_acknowledged_is_explained_with_its_payment(api: Api) -> None:
    with_findings(api)
    [finding] = api.get("/operations/findings", code="returned_more_than_paid").body["findings"]
    api.post(f"/operations/findings/{finding['id']}/acknowledge", {"reason": REASON})
    [explained] = api.get(f"/operations/payments/{finding['payment_id']}", business_customer="bc_1").body["explanations"]
    [told] = explained["findings"]
    assert (told["code"], told["acknowledged"]["reason"]) == ("returned_more_than_paid", REASON)


def test_no_acknowledged_finding_is_lost_between_pages(api: Api) -> None:
    for number in range(12):
        keys = Keys("RECONCILIATION#bc_1", f"FINDING#orphan#{number:02}")
        api.put(keys, code="orphan", subject=str(number), opened_at=1, reference="finding:open")
        if number % 4 == 0:
            api.post(f"/operations/findings/{opaque(keys)}/acknowledge", {"reason": REASON})
    for asked, expected in (("true", {0, 4, 8}), ("false", set(range(12)) - {0, 4, 8})):
        seen: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = api.get("/operations/findings", acknowledged=asked, limit="2", **cursor).body
            seen += [one["subject"] for one in page["findings"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert sorted(seen) == sorted(map(str, expected))


# --- replay --------------------------------------------------------------------------------------------------------------


def test_a_replay_runs_payments_through_the_pipeline_again(api: Api) -> None:
    api.world.take(succeeded())
    api.copy()
    name = {"provider": "stripe", "account": "acct_1", "payment_id": succeeded().case_ids[0]}
    assert api.post("/operations/replay", {"payments": [name]}).body == {"queued": 1}
    [message] = api.queued()
    assert (message["revisit"], message["reason"]) == (name, "replay")
    answer = api.post("/operations/replay", {"payments": [name, name | {"payment_id": "pi_none"}]})
    assert (answer.status, answer.body["detail"]) == (404, "stripe acct_1 pi_none")
    assert api.queued() == [], "all or none"
    assert [entry["outcome"] for entry in api.audit] == ["refused", "done"]


# --- dead letters --------------------------------------------------------------------------------------------------------


def letter(api: Api, number: int, cause: str, account: str = "acct_1") -> None:
    api.sqs.send_message(
        QueueUrl=pairs_of(api.urls)["payment_succeeded"].dead_letters_url,
        MessageBody=json.dumps({"fact": {"provider": "stripe", "account": account}, "number": number}),
        MessageGroupId=f"payment-{number}",
        MessageDeduplicationId=str(number),
        MessageAttributes={"cause": {"DataType": "String", "StringValue": cause}},
    )


def test_dead_letters_are_counted_and_redriven_by_cause_and_customer(api: Api) -> None:
    api.copy()
    for number, (cause, account) in enumerate(
        [("defect", "acct_1"), ("defect", "acct_1"), ("api_refused_key", "acct_1"), ("defect", "acct_2")]
    ):
        letter(api, number, cause, account)
    overview = api.get("/operations/dead-letters").body
    assert overview["queues"] == [{"function": "payment_succeeded", "letters": 4}]
    assert overview["kinds"][0] == {
        "function": "payment_succeeded",
        "cause": "defect",
        "business_customer": "bc_1",
        "letters": 2,
    }
    assert api.get("/operations/dead-letters", cause="defect", limit="1").body["of_other_kinds"] == 1
    done = api.post("/operations/redrive", {"cause": "defect", "business_customer": "bc_1"}).body
    assert (done["letters"], done["complete"], done["came_back"]) == (2, True, 0)
    assert [body["number"] for body in api.queued("payment_succeeded")] == [0, 1]
    [entry] = api.audit
    assert entry["asked"] == {"cause": "defect", "business_customer": "bc_1", "limit": 1000}
    assert entry["came_of_it"] == {"letters": 2, "came_back": 0, "complete": True}
    assert api.get("/operations/dead-letters").body["queues"] == [{"function": "payment_succeeded", "letters": 2}]


def test_a_redrive_ends_in_time_and_says_that_more_is_left(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.module, "REDRIVES_FOR_S", 2.0)
    for number in range(30):
        letter(api, number, "defect")
    done = api.post("/operations/redrive", {}).body
    assert done["complete"] is False
    assert done["letters"] == 10, "as many as may be in flight"


# --- reports -------------------------------------------------------------------------------------------------------------


def test_reports_are_listed_from_the_latest_and_their_files_can_be_fetched(api: Api) -> None:
    ids = [f"2026-11-{day:02}T02-00-00Z" for day in (1, 2, 3)]
    s3: Any = boto3.client("s3")
    for one in ids:
        s3.put_object(Bucket=BUCKET, Key=f"reconciliations/{one}/report.html", Body=b"<html>")
    first = api.get("/operations/reports", limit="2").body
    assert first["reports"] == ids[:0:-1]
    assert api.get("/operations/reports", limit="2", cursor=first["next"]).body == {"reports": ids[:1], "next": None}
    [file] = api.get(f"/operations/reports/{ids[0]}").body["files"]
    assert (file["name"], file["bytes"]) == ("report.html", 6)
    assert f"reconciliations/{ids[0]}/report.html?" in file["url"]
    assert "X-Amz-Expires=300" in file["url"]
    assert api.get("/operations/reports/2020").body["code"] == "report_unknown"
    assert [(entry["action"], entry["outcome"]) for entry in api.audit] == [("fetch", "refused"), ("fetch", "done")]


# --- audit ---------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_audited_does_not_happen(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any) -> None:
        raise Retry("table_busy")

    api.world.take(succeeded())
    api.copy()
    monkeypatch.setattr(DynamoTable, "commit", busy)
    name = {"provider": "stripe", "account": "acct_1", "payment_id": succeeded().case_ids[0]}
    assert api.post("/operations/replay", {"payments": [name]}).status == 503
    assert api.queued() == []


def test_the_entry_is_there_before_anything_is_done(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def redrive(*_: Any, **__: Any) -> Redriven:
        seen.extend(api.table.read_partition(audit_pk(datetime.now(UTC).strftime("%Y-%m"))))
        return Redriven(Counter(), 0, is_complete=True)

    monkeypatch.setattr(DeadLetters, "redrive", redrive)
    api.post("/operations/redrive", {"cause": "defect"})
    assert [(item["by"], item["action"], item["outcome"]) for item in seen] == [(CALLER, "redrive", "begun")]


def test_an_action_that_fails_is_audited(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(PAYER)

    monkeypatch.setattr(DeadLetters, "redrive", broken)
    answer = api.post("/operations/redrive", {})
    assert (answer.status, answer.body["code"]) == (500, "defect")
    assert PAYER not in answer.raw
    assert [entry["outcome"] for entry in api.audit] == ["failed"]


def test_audit_is_paged_by_month_from_the_latest(api: Api) -> None:
    for _ in range(3):
        api.post("/operations/redrive", {"limit": 1})
    first = api.get("/operations/audit", limit="2").body
    second = api.get("/operations/audit", limit="2", cursor=first["next"]).body
    assert [entry["request_id"] for entry in (*first["entries"], *second["entries"])] == [
        "request-96",
        "request-97",
        "request-98",
    ]
    assert api.get("/operations/audit", month="2020-01").body == {"entries": [], "next": None}


# --- wrong input ---------------------------------------------------------------------------------------------------------

WRONG: list[tuple[str, str, dict[str, str], Any, str]] = [
    ("GET", "/operations/payments", {"limit": "0"}, None, "limit"),
    ("GET", "/operations/payments", {"limit": "101"}, None, "limit"),
    ("GET", "/operations/payments", {"limit": "ten"}, None, "limit"),
    ("GET", "/operations/payments", {"waiting": "false"}, None, "waiting"),
    ("GET", "/operations/payments", {"waiting": "yes"}, None, "waiting"),
    ("GET", "/operations/payments", {"cursor": "x"}, None, "cursor"),
    ("GET", "/operations/reports", {"cursor": "x"}, None, "cursor"),
    ("GET", "/operations/dead-letters", {"function": "payment-succeeded"}, None, "function"),
    ("POST", "/operations/redrive", {}, {"function": "payment-succeeded"}, "function"),
    ("GET", "/operations/payments/pi_1", {"provider": "stripe"}, None, "account"),
    ("GET", "/operations/payments/pi_1", {"account": "acct_1"}, None, "provider"),
    ("GET", "/operations/payments/pi_1", {"acount": "acct_1"}, None, "acount"),
    ("GET", "/operations/findings", {"severity": "grave"}, None, "severity"),
    ("GET", "/operations/findings", {"code": ""}, None, "code"),
    ("GET", "/operations/audit", {"month": "11-2026-1"}, None, "month"),
    ("POST", "/operations/replay", {}, None, "payments"),
    ("POST", "/operations/replay", {}, "{", "body"),
    ("POST", "/operations/replay", {}, "[" * 100_000, "body"),
    ("POST", "/operations/replay", {}, "[]", "body"),
    ("POST", "/operations/replay", {}, {"payments": []}, "payments"),
    ("POST", "/operations/replay", {}, {"payments": ["pi_1"]}, "payments[0]"),
    ("POST", "/operations/replay", {}, {"payments": [{"provider": "stripe"}]}, "payments[0].account"),
    ("POST", "/operations/replay", {}, {"payments": [], "dry": True}, "dry"),
    ("POST", "/operations/redrive", {}, {"limit": "10"}, "limit"),
    ("POST", "/operations/redrive", {}, {"limit": True}, "limit"),
    ("POST", "/operations/redrive", {}, {"limit": 1.5}, "limit"),
    ("POST", "/operations/redrive", {}, {"cause": 5}, "cause"),
    ("POST", "/operations/redrive", {}, {"bussiness_customer": "bc_1"}, "bussiness_customer"),
]


@pytest.mark.parametrize(("method", "path", "query", "body", "field"), WRONG)
def test_wrong_input_is_refused_with_the_field(
    api: Api, method: str, path: str, query: dict[str, str], body: Any, field: str
) -> None:
    answer = api.call(method, path, body, **query)
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert [error["field"] for error in answer.body["errors"]] == [field]
    assert api.audit == [], "nothing was done"


def test_what_there_is_no_route_for_is_not_there(api: Api) -> None:
    for answer in (api.get("/operations/nothing"), api.call("DELETE", "/operations/payments")):
        assert (answer.status, answer.body["code"]) == (404, "route_unknown")
