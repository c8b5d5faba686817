"""Documents that people change by hand, told by the invoicing API's own webhooks: the ledger learns it and fights nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from quittance.document_changes import RECORDED_WITHIN_S, DocumentChanges
from quittance.documents import RecordedDocument
from quittance.entities import connection_of
from quittance.errors import InDoubt, Reject, Retry
from quittance.explanation import as_text, explain_case
from quittance.ledger import CaseFile, Ledger
from quittance.money import Money
from quittance.observation import Observation, ObservedDocument, Sighting
from quittance.plan import Plan
from quittance.providers import space_invoices
from quittance.registration import CustomerDirectory
from tests.unit.stories import fact, refund, renewal, succeeded
from tests.use_cases.world import World
from tools.sandbox.wire import Request

Act = Callable[["ByHand"], None]


class ByHand:
    """A world in which somebody works on the documents, and the deliveries that tell of it."""

    def __init__(self, *facts: Any, **profile: Any) -> None:
        self.world = World()
        self.world.register(**profile)
        [entity] = self.world.api.pages("entities", entity_id=None)
        self.entity = entity["id"]
        created = self.ask("POST", "/webhooks", {"url": "https://example.com/hook", "events": sorted(SUBSCRIBED)})
        self.secret = created["secret"]
        self.world.take(*facts)
        self.case_ids = facts[0].case_ids
        self.removed = ""
        self.echoes = self.deliveries()

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """What a person does in the invoicing application, some time later."""
        self.world.seconds += 60
        headers = {"authorization": "Bearer sk_sandbox_by_hand", "x-entity-id": self.entity, "content-type": "application/json"}
        request = Request(method, path, headers, tuple(query.items()), b"" if body is None else json.dumps(body).encode())
        answer = self.world.sandbox.handle(request).response
        assert answer is not None
        assert answer.status < 300, answer.body
        return json.loads(answer.body) if answer.body else None

    def deliveries(self) -> list[bytes]:
        """The bodies that were sent since the last time."""
        due = self.world.sandbox.outbox.due(self.world.sandbox._clock())
        for delivery in due:
            headers = {name.lower(): value for name, value in delivery.headers.items()}
            space_invoices.verify(delivery.body, headers, (self.secret,), self.world.seconds)
        return [delivery.body for delivery in due]

    def changes(self) -> DocumentChanges:
        ledger = Ledger(self.world.table)
        return DocumentChanges(
            ledger=ledger,
            customers=CustomerDirectory(ledger, lambda: self.world.seconds),
            revisit=self.world.converger().revisit,
            now=lambda: self.world.seconds,
            count=self.world._count,
        )

    def deliver(self, *bodies: bytes, connection: str = "default", age_s: float = 0) -> None:
        for body in bodies:
            sighting = space_invoices.translate(body, connection, {}).sighting
            if sighting:
                self.changes().take(sighting, age_s)

    def do(self, *acts: Act) -> None:
        for act in acts:
            act(self)

    @property
    def case(self) -> CaseFile:
        return Ledger(self.world.table).open("stripe", "acct_1", self.case_ids, join=False)

    @property
    def invoice(self) -> RecordedDocument:
        return next(iter(self.case.documents.values())).record

    @property
    def findings(self) -> set[str]:
        return {item["code"] for item in self.case.findings.values() if not item.get("resolved_at")}

    def held(self, collection: str = "invoices", place: int = 0) -> dict[str, Any]:
        return self.world.held(collection, self.entity)[place]


SUBSCRIBED = space_invoices.EVENT_TYPES - {"credit_note.updated", "payment.updated"}
LINE = {"quantity": 1, "taxes": [], "name": "Something else"}
UNPAID = renewal(10000)


def edit(by_hand: ByHand, total: float = 120.0) -> None:
    by_hand.ask("PATCH", f"/invoices/{by_hand.held()['id']}", {"items": [LINE | {"gross_price": total}]})


def edit_back(by_hand: ByHand) -> None:
    edit(by_hand, 100.0)


def describe(by_hand: ByHand) -> None:
    by_hand.ask("PATCH", f"/invoices/{by_hand.held()['id']}", {"note": "Thank you, Ms Murray"})


def void(by_hand: ByHand) -> None:
    by_hand.ask("POST", f"/invoices/{by_hand.held()['id']}/void", {"reason": "typo"})


def pay(by_hand: ByHand, amount: float = 60.0, reference: str = "from Ms Murray") -> None:
    body = {"document_id": by_hand.held()["id"], "type": "bank_transfer", "amount": amount, "reference": reference}
    by_hand.ask("POST", "/payments", body)


def pay_all(by_hand: ByHand) -> None:
    pay(by_hand, 100.0)


def pay_all_under_our_reference(by_hand: ByHand) -> None:
    by_hand.world.seconds += 600
    pay(by_hand, 100.0, "pay_1")


def remove_payment(by_hand: ByHand) -> None:
    [payment] = [one for one in by_hand.world.held("payments", by_hand.entity) if not one["deleted_at"]]
    by_hand.removed = payment["id"]
    by_hand.ask("DELETE", f"/payments/{payment['id']}")


def restore_payment(by_hand: ByHand) -> None:
    by_hand.ask("POST", f"/payments/{by_hand.removed}/restore")


STORIES: dict[str, tuple[Any, tuple[Act, ...], set[str]]] = {
    "edited": (UNPAID, (edit,), {"document_edited"}),
    "edited and edited back": (UNPAID, (edit, edit_back), set()),
    "edited in what is no money": (UNPAID, (describe,), set()),
    "voided": (UNPAID, (void,), {"document_voided"}),
    "edited and voided": (UNPAID, (edit, void), {"document_voided"}),
    "paid in part": (UNPAID, (pay,), {"document_paid_by_hand"}),
    "paid": (UNPAID, (pay_all,), {"document_paid_by_hand"}),
    "paid and taken back": (UNPAID, (pay, remove_payment), set()),
    "payment removed": (succeeded(), (remove_payment,), {"payment_removed_by_hand"}),
    "payment removed and restored": (succeeded(), (remove_payment, restore_payment), set()),
    "payment replaced": (succeeded(), (remove_payment, pay_all), set()),
    "payment replaced under its reference": (succeeded(), (remove_payment, pay_all_under_our_reference), set()),
    "payment replaced by less": (succeeded(), (remove_payment, pay), {"payment_removed_by_hand"}),
    "paid again and voided": (succeeded(), (remove_payment, void), {"document_voided"}),
}


@pytest.mark.parametrize("story", STORIES)
def test_what_people_do_is_learnt_and_nothing_is_asked_of_the_api(story: str) -> None:
    fact_of_story, acts, findings = STORIES[story]
    by_hand = ByHand(fact_of_story)
    by_hand.deliver(*by_hand.echoes)
    by_hand.do(*acts)
    bodies = by_hand.deliveries()
    asked = len(by_hand.world.sandbox.seen)
    by_hand.deliver(*bodies)
    assert by_hand.findings == findings
    known = by_hand.world.table.items()
    by_hand.deliver(*bodies)
    by_hand.world.take(fact_of_story)
    assert by_hand.world.table.items() == known
    assert len(by_hand.world.sandbox.seen) == asked


@pytest.mark.parametrize("story", STORIES)
def test_the_order_in_which_it_is_told_changes_nothing(story: str) -> None:
    fact_of_story, acts, findings = STORIES[story]
    by_hand = ByHand(fact_of_story)
    by_hand.do(*acts)
    start = by_hand.world.table.items()
    told = by_hand.deliveries()
    for order in permutations(told[-4:]):
        by_hand.world.table._items = {(item["pk"], item["sk"]): json.dumps(item) for item in start}
        by_hand.world.table.index_catches_up()
        by_hand.deliver(*by_hand.echoes, *order, *told[:-4])
        assert by_hand.findings == findings


@pytest.mark.parametrize(
    "facts",
    [
        (succeeded(),),
        (succeeded(), refund("re_1", 2500)),
        (succeeded(), refund("re_1", 2500), fact("refund.failed", "re_1", 2500, minute=40)),
        (renewal(), succeeded(invoice_id="in_1")),
        (renewal(payment_id="pay_1"), succeeded(), succeeded(payment_id="pay_2", invoice_id="in_1")),
    ],
)
def test_what_we_did_ourselves_is_not_written_down(facts: tuple[Any, ...]) -> None:
    by_hand = ByHand(*facts)
    known, asked = by_hand.world.table.items(), len(by_hand.world.sandbox.seen)
    assert by_hand.echoes
    reads: list[str] = []
    by_hand.world.table.before_read = reads.append
    for body in by_hand.echoes:
        reads.clear()
        by_hand.deliver(body)
        assert len(reads) <= 2
    assert by_hand.world.table.items() == known
    assert len(by_hand.world.sandbox.seen) == asked


def test_a_payment_that_failed_late_is_removed_by_us_and_that_is_no_finding() -> None:
    by_hand = ByHand(succeeded(), fact("payment.failed", "pay_1", 10000, minute=30))
    standing = by_hand.findings
    by_hand.deliver(*by_hand.echoes)
    assert by_hand.findings == standing == {"payment_failed_after_success"}
    pay(by_hand, 100.0, reference="pay_1")
    by_hand.deliver(*by_hand.deliveries())
    assert by_hand.findings == standing | {"document_paid_by_hand"}


def replace_reference(by_hand: ByHand) -> None:
    [payment] = by_hand.world.held("payments", by_hand.entity)
    by_hand.ask("PATCH", f"/payments/{payment['id']}", {"reference": "from Ms Murray"})


@pytest.mark.parametrize("acts", [(replace_reference,), (remove_payment, pay_all)])
def test_a_record_that_is_not_ours_any_more_is_left_to_a_person(acts: tuple[Act, ...]) -> None:
    """The invoice is paid still, and all that the API lists on it was entered by hand: asking again would change nothing."""
    by_hand = ByHand(succeeded())
    by_hand.do(*acts)
    by_hand.world.take(fact("payment.failed", "pay_1", 10000, minute=30))
    assert by_hand.findings == {"payment_failed_after_success", "payment_record_replaced"}
    assert by_hand.world.counts["Findings stripe payment_record_replaced"] == 1
    assert str(by_hand.held()["total_paid"]) == "100"
    known = by_hand.world.table.items()
    by_hand.world.take(fact("payment.failed", "pay_1", 10000, minute=30))
    assert by_hand.world.table.items() == known


def test_a_record_entered_by_hand_does_not_hide_that_the_list_lags() -> None:
    by_hand = ByHand(renewal(10000))
    pay(by_hand, 20.0)
    by_hand.world.seconds += 100
    by_hand.world.take(succeeded(8000, invoice_id="in_1"))
    lag = {"kind": "lookup_lag", "match": {"method": "GET", "path_prefix": "/payments"}, "seconds": 60}
    by_hand.world.sandbox.faults.add_json(lag)
    failed = fact("payment.failed", "pay_1", 8000, minute=30)
    with pytest.raises(InDoubt, match="payment_not_listed"):
        by_hand.world.take(failed)
    by_hand.world.take(failed)
    assert str(by_hand.held()["total_paid"]) == "20"
    assert "payment_record_replaced" not in by_hand.findings


def test_a_payment_that_people_entered_is_not_missed_when_ours_arrives() -> None:
    by_hand = ByHand(renewal())
    pay(by_hand)
    by_hand.deliver(*by_hand.echoes, *by_hand.deliveries())
    assert by_hand.findings == {"document_paid_by_hand"}
    by_hand.ask("PATCH", f"/invoices/{by_hand.held()['id']}", {"note": ""})
    by_hand.deliver(*by_hand.deliveries())
    assert by_hand.findings == {"document_paid_by_hand"}


@pytest.mark.parametrize("finalize_on", ["manual", "settled"])
def test_a_draft_that_was_finalized_by_hand_is_known_to_be_final(finalize_on: str) -> None:
    by_hand = ByHand(succeeded(), policy={"issue_as": "draft", "finalize_on": finalize_on})
    by_hand.deliver(*by_hand.echoes)
    assert by_hand.invoice.observed is None
    by_hand.ask("POST", f"/documents/{by_hand.held()['id']}/finalize", {}, type="invoice")
    by_hand.deliver(*by_hand.deliveries())
    assert by_hand.invoice.was_finalized_by_hand
    assert by_hand.invoice.printed_number == by_hand.held()["number"]
    assert by_hand.findings == set()


def test_a_draft_that_we_finalize_is_not_written_down_again() -> None:
    settled = fact("payment.settled", "pay_1", 10000, minute=30, occurrence="po_1")
    by_hand = ByHand(succeeded(), settled, policy={"issue_as": "draft", "finalize_on": "settled"})
    assert not by_hand.held()["is_draft"]
    known = by_hand.world.table.items()
    by_hand.deliver(*by_hand.echoes)
    assert by_hand.world.table.items() == known


def test_once_a_document_was_changed_every_later_state_of_it_counts() -> None:
    by_hand = ByHand(UNPAID)

    def told(event: str, second: int, total: int) -> None:
        seen = ObservedDocument(at=f"2026-11-20T15:00:0{second}.000000Z", is_draft=False, total=Money(total, "EUR"))
        by_hand.changes().take(
            Sighting(
                document_id=by_hand.invoice.api_id,
                event_type=event,
                observed=Observation(document=seen),
                connection="default",
            ),
            1,
        )

    told("invoice.updated", 2, 10000)
    told("invoice.sent", 4, 10000)
    told("invoice.updated", 3, 12000)
    assert by_hand.findings == set()
    told("invoice.updated", 5, 12000)
    assert by_hand.findings == {"document_edited"}
    told("invoice.sent", 6, 10000)
    assert by_hand.findings == set()


def test_a_draft_that_was_deleted_by_hand_is_gone() -> None:
    by_hand = ByHand(succeeded(), policy={"issue_as": "draft", "finalize_on": "manual"})
    by_hand.ask("DELETE", f"/documents/{by_hand.held()['id']}", type="invoice")
    by_hand.deliver(*by_hand.deliveries())
    assert by_hand.findings == {"document_deleted"}
    assert by_hand.invoice.is_gone


def test_explain_shows_what_was_seen() -> None:
    by_hand = ByHand(UNPAID)
    by_hand.do(edit)
    by_hand.deliver(*by_hand.deliveries())
    explained = explain_case(by_hand.case, None, Plan())
    [document] = explained["documents"]
    assert document["seen"]["amount"] == {"value": 12000, "currency": "EUR"}
    assert "seen final with 120.00 EUR at 2026-11-20T" in as_text(explained)
    assert "finding: document_edited (invoice:renewal:in_1)" in as_text(explained)


# --- whose document it is


def test_a_document_made_by_hand_is_left_alone() -> None:
    by_hand = ByHand(UNPAID)
    invoice = by_hand.ask("POST", "/invoices", {"is_draft": False, "items": [LINE | {"gross_price": 5.0}]})
    by_hand.ask("POST", "/payments", {"document_id": invoice["id"], "type": "cash", "amount": 5})
    known = by_hand.world.table.items()
    bodies = by_hand.deliveries()
    by_hand.deliver(*bodies)
    assert by_hand.world.table.items() == known
    assert by_hand.world.counts["EventsIgnored space-invoices document_not_ours"] == len(bodies)


def test_a_document_of_ours_that_is_not_recorded_yet_is_waited_for() -> None:
    by_hand = ByHand(UNPAID)
    known = dict(by_hand.world.table._items)
    by_hand.world.table._items = {}
    by_hand.world.table.index_catches_up()
    for age_s in (0, 60, RECORDED_WITHIN_S - 1):
        with pytest.raises(Retry, match="document_not_recorded_yet"):
            by_hand.deliver(by_hand.echoes[0], age_s=age_s)
    by_hand.world.table._items = known
    by_hand.world.table.index_catches_up()
    by_hand.deliver(by_hand.echoes[0], age_s=RECORDED_WITHIN_S)
    assert by_hand.findings == set()


def test_a_document_that_only_claims_to_be_ours_is_a_finding_once() -> None:
    by_hand = ByHand(UNPAID)
    metadata = {"business_customer": "bc_1", "document_key": "invoice:payment:pay_9"}
    by_hand.ask("POST", "/invoices", {"is_draft": False, "items": [LINE | {"gross_price": 5.0}], "metadata": metadata})
    bodies = by_hand.deliveries()
    by_hand.deliver(*bodies, age_s=RECORDED_WITHIN_S)
    found = [item for item in by_hand.world.table.find("finding:open") if item["code"] == "document_unknown"]
    assert [item["pk"] for item in found] == ["BUSINESS_CUSTOMER#bc_1"]
    known = by_hand.world.table.items()
    by_hand.world.seconds += 60
    by_hand.deliver(*bodies, age_s=RECORDED_WITHIN_S)
    assert by_hand.world.table.items() == known


def test_a_claim_to_be_of_somebody_unknown_is_nobodys() -> None:
    by_hand = ByHand(UNPAID)
    metadata = {"business_customer": "bc_of_another_system"}
    by_hand.ask("POST", "/invoices", {"is_draft": False, "items": [LINE | {"gross_price": 5.0}], "metadata": metadata})
    known = by_hand.world.table.items()
    by_hand.deliver(*by_hand.deliveries(), age_s=RECORDED_WITHIN_S)
    assert by_hand.world.table.items() == known


def test_a_connection_tells_of_its_own_business_customer_only() -> None:
    by_hand = ByHand(UNPAID)
    void(by_hand)
    *_, voided = by_hand.deliveries()
    known = by_hand.world.table.items()
    for connection in (connection_of("bc_2"), "somewhere"):
        with pytest.raises(Reject, match="foreign_document"):
            by_hand.deliver(voided, connection=connection)
    assert by_hand.world.table.items() == known
    by_hand.deliver(voided, connection=connection_of("bc_1"))
    assert by_hand.findings == {"document_voided"}


def test_a_fee_invoice_is_told_of_on_the_platforms_connection() -> None:
    by_hand = ByHand(succeeded(fee=Money(210, "EUR")), policy={"invoices": "both"})
    by_hand.world.register("bc_platform", role="platform", accounts=[])
    by_hand.world.drain_revisits()
    [fee] = [entry.record for entry in by_hand.case.documents.values() if entry.record.document.issuer]
    seen = ObservedDocument(at="2026-11-20T15:00:00.000000Z", is_draft=False, total=fee.document.amount, is_voided=True)

    def told(connection: str) -> None:
        by_hand.changes().take(
            Sighting(
                document_id=fee.api_id,
                event_type="invoice.voided",
                observed=Observation(document=seen),
                business_customer="bc_1",
                connection=connection,
            ),
            1,
        )

    with pytest.raises(Reject, match="foreign_document"):
        told(connection_of("bc_1"))
    told(connection_of("bc_platform"))
    assert by_hand.findings == {"document_voided"}


def test_a_claim_on_another_customers_connection_is_refused_without_waiting() -> None:
    by_hand = ByHand(UNPAID)
    by_hand.world.table._items = {}
    by_hand.world.table.index_catches_up()
    with pytest.raises(Reject, match="foreign_document"):
        by_hand.deliver(by_hand.echoes[0], connection=connection_of("bc_2"))


# --- crashes and races


def test_a_run_killed_before_the_findings_were_aligned_is_finished_by_the_next() -> None:
    by_hand = ByHand(UNPAID)
    void(by_hand)
    bodies = by_hand.deliveries()

    def killed(*_: str) -> None:
        raise RuntimeError

    changes: Any = by_hand.changes()
    changes._revisit = killed
    sighting = space_invoices.translate(bodies[-1], "default", {}).sighting
    assert sighting
    with pytest.raises(RuntimeError):
        changes.take(sighting, 1)
    assert by_hand.findings == set()
    by_hand.deliver(bodies[-1])
    assert by_hand.findings == {"document_voided"}


def test_a_case_in_use_is_not_written_to() -> None:
    by_hand = ByHand(UNPAID)
    void(by_hand)
    bodies = by_hand.deliveries()
    case = by_hand.case
    case.take_lease("another run", by_hand.world.seconds + 30)
    Ledger(by_hand.world.table).commit(case)
    known = by_hand.world.table.items()
    with pytest.raises(Retry, match="case_in_use"):
        by_hand.deliver(bodies[-1])
    assert by_hand.world.table.items() == known
    by_hand.world.seconds += 31
    by_hand.deliver(bodies[-1])
    assert by_hand.findings == {"document_voided"}


def test_a_lost_race_is_worth_a_retry() -> None:
    by_hand = ByHand(UNPAID)
    void(by_hand)
    [*_, voided] = by_hand.deliveries()
    raced: list[bool] = []

    def overtake(_: Any) -> None:
        if not raced:
            raced.append(True)
            case = by_hand.case
            case.is_changed = True
            Ledger(by_hand.world.table).commit(case)

    by_hand.world.table.before_commit = overtake
    with pytest.raises(Retry, match="case_contended"):
        by_hand.deliver(voided)
    by_hand.deliver(voided)
    assert by_hand.findings == {"document_voided"}
