"""Every format is recognised by what is in the file, and states what the provider's webhooks would have."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quittance.facts import Fact
from quittance.providers import provider
from tests.history.stack import Stack, indexed, written
from tests.unit.stories import fact, refund, succeeded
from tools.history import History, HistoryError, Reported, reader_of, readers
from tools.history.archive import line_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = Path(__file__).parents[2] / "events" / "history"
FORMAT_OF = {
    "platform.jsonl": "platform",
    "stripe-payments.csv": "stripe-payments",
    "stripe.jsonl": "stripe",
    "adyen-accounting.csv": "adyen-accounting",
    "adyen-notifications.jsonl": "adyen-notifications",
    "archive.jsonl": "archive",
}
MANUAL = {"capture_mode": "manual"}


def told(path: Path, account: str | None = None, **settings: Any) -> list[Fact]:
    """The facts of a file all of whose lines can be used."""
    found = list(History(path, reader_of(path), account, settings))
    assert not [str(one) for one in found if isinstance(one, HistoryError)]
    return [one.fact for one in found if isinstance(one, Reported)]


def faults(path: Path, **settings: Any) -> list[str]:
    return [str(one) for one in History(path, reader_of(path), None, settings) if isinstance(one, HistoryError)]


def summary(facts: Sequence[Fact]) -> list[str]:
    return [f"{one.identity} {one.amount.value if one.amount else ''} {one.occurred_at}" for one in facts]


def lines(path: Path, *objects: Any) -> Path:
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in objects), encoding="utf-8")
    return path


# --- samples -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "form"), FORMAT_OF.items())
def test_a_sample_is_recognised_whatever_it_is_called(name: str, form: str, tmp_path: Path) -> None:
    assert form == reader_of(SAMPLES / name).NAME
    packed = tmp_path / "export.bin"
    packed.write_bytes(gzip.compress((SAMPLES / name).read_bytes()))
    assert form == reader_of(packed).NAME
    assert told(packed) == told(SAMPLES / name) != []


def test_there_is_a_sample_of_every_format_that_states_payments() -> None:
    assert set(FORMAT_OF.values()) <= set(readers())
    assert {path.name for path in SAMPLES.iterdir()} >= set(FORMAT_OF)


def test_the_samples_are_one_story(tmp_path: Path) -> None:
    """All together, in any number of files: what is in two of them is told once."""
    stack = Stack()
    everything = [fact for name in FORMAT_OF for fact in told(SAMPLES / name, "acct_1WillowStudio" if "stripe" in name else None)]
    index = indexed(written(tmp_path / "all.jsonl", everything))
    totals = stack.rehearsed(index)
    assert totals.payments == {"would-create": 9, "would-record": 2}
    assert (totals.made["invoice"], totals.made["credit_note"], totals.made["payment_removal"]) == (9, 4, 1)
    stack.apply(index)
    assert stack.rehearsed(index).payments == {"already-right": 11}


# --- recognising ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"date,amount\n1,2\n", "the format is not known"),
        (b'{"hello": 1}\n', "the format is not known"),
        (b"[1, 2]\n", "the format is not known"),
        (b"\xff\xfe\x00", "the format is not known"),
        (b"id;Amount\nch_1;1\n", "the format is not known"),
        (b"id,Amount\rch_1,1\r", "line 1: not CSV"),
        (b",,\n,,\n", "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_recognised_is_refused_in_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match=f"^{reason}") as refused:
        reader_of(path)
    assert "\n" not in str(refused.value)


def test_a_format_is_recognised_behind_lines_that_cannot_be_read(tmp_path: Path) -> None:
    path = lines(tmp_path / "a", "{broken", {"fact": succeeded().to_json(), "event_id": "evt_1"})
    assert reader_of(path).NAME == "archive"
    assert faults(path) == ["line 1: not one JSON object"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\xef\xbb\xbf" + (SAMPLES / "stripe-payments.csv").read_bytes())
    assert told(path) == told(SAMPLES / "stripe-payments.csv")


PACKED = gzip.compress((SAMPLES / "platform.jsonl").read_bytes() * 50, mtime=0)


@pytest.mark.parametrize(
    "content",
    [PACKED[:-20], PACKED + b"more", PACKED[:-8] + bytes(8), PACKED[:60] + b"\xff" * 20 + PACKED[80:]],
    ids=["cut off", "more behind it", "sum", "bytes"],
)
def test_a_packed_file_that_is_damaged_says_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match="cut off or damaged"):
        list(History(path, readers()["platform"]))


@pytest.mark.parametrize("name", ["stripe-payments.csv", "platform.jsonl"])
@pytest.mark.parametrize("form", ["adyen-accounting", "adyen-settlement", "stripe-payouts"])
def test_a_table_is_not_read_without_its_columns(name: str, form: str) -> None:
    """Whatever somebody chose."""
    with pytest.raises(HistoryError, match=rf"^this is no file of the format {form}$"):
        list(History(SAMPLES / name, readers()[form]))


def test_a_table_is_not_read_as_objects() -> None:
    with pytest.raises(HistoryError, match=r"no file of the format stripe$"):
        list(History(SAMPLES / "stripe-payments.csv", readers()["stripe"]))


# --- lines that cannot be used -------------------------------------------------------------------------------------------


def test_a_bad_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    good = json.loads((SAMPLES / "platform.jsonl").read_text(encoding="utf-8").splitlines()[1])
    bad = good | {"data": good["data"] | {"amount": {"value": "ten", "currency": "EUR"}}}
    path = tmp_path / "a"
    path.write_bytes(
        b"\n".join([json.dumps(good).encode(), json.dumps(bad).encode(), b"{", b'{"a": "\xff"}', b"7", json.dumps(good).encode()])
    )
    first, *others = faults(path)
    assert first.startswith("line 2: event_does_not_match_schema: data.amount.value must be integer")
    assert others == [
        "line 3: not one JSON object",
        "line 4: not UTF-8",
        "line 5: not one JSON object",
    ]
    assert len([one for one in History(path, reader_of(path)) if isinstance(one, Reported)]) == 2


def test_a_bad_row_is_named_by_the_line_it_begins_in(tmp_path: Path) -> None:
    path = tmp_path / "a"
    header, first, *_ = (SAMPLES / "stripe-payments.csv").read_text(encoding="utf-8").splitlines()
    rows = [
        first.replace("Dyeing course, May", "two\nlines"),
        first.replace("89.00,0.00,eur", "89.001,0.00,eur"),
        first.replace("89.00,0.00", '"89,00",0.00'),
        first.replace("2026-05-02 10:15:09", "02.05.2026"),
        first.replace(",eur,true", ",xxx,true"),
        first + ",more",
        first.replace("ch_wi_4", 'ch"wi'),
        first.replace(",,,", ",lost,", 1).replace(",DE,lost,", ",DE,89.00,lost,"),
    ]
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    assert faults(path) == [
        "line 4: amount_not_expressible",
        "line 5: amount_not_decimal",
        "line 6: Created date (UTC) is no time such as 2026-01-31 10:00:00",
        "line 7: currency_unknown",
        "line 8: 22 columns where the header has 21",
        "line 10: a lost dispute, which this export does not name: add Stripe's disputes as JSON lines",
    ]


def test_what_a_file_says_of_the_future_or_too_much_is_refused(tmp_path: Path) -> None:
    huge = succeeded(payment_id="pay_2", description="x" * 100_000)
    path = written(tmp_path / "a", [succeeded(occurred_at="2027-01-01T00:00:00Z"), huge, refund("re_1", 5)])
    index = indexed(path)
    assert [str(one) for one in index.refusals()] == [
        "line 1: this has not happened yet",
        "line 2: more than one payment of the ledger can hold",
    ]
    assert index.reports == 1


def test_test_money_makes_no_documents_where_they_are_real() -> None:
    assert indexed(SAMPLES / "stripe-payments.csv", is_live=True).left_out == 4
    assert indexed(SAMPLES / "stripe-payments.csv").left_out == 0


# --- Stripe --------------------------------------------------------------------------------------------------------------


def test_stripes_payments_are_what_its_events_report() -> None:
    paid, fully, returned, failed = told(SAMPLES / "stripe-payments.csv", "acct_1")
    assert summary([paid, fully, returned, failed]) == [
        "payment.succeeded#pi_wi_4 8900 2026-05-02T10:15:09Z",
        "payment.succeeded#pi_wi_5 12000 2026-05-04T16:40:51Z",
        "refund.succeeded#ch_wi_5#2000 2000 2026-05-09T08:30:00Z",
        "payment.failed#pi_wi_6#ch_wi_6 4500 2026-05-05T11:00:00Z",
    ]
    assert {one.account for one in (paid, fully, returned, failed)} == {"acct_1"}
    assert (returned.running_total, returned.payment_id, returned.also_known_as) == (True, "pi_wi_5", ("ch_wi_5",))
    assert paid.payer
    assert (paid.payer.name, paid.payer.country) == ("Ida Kern", "DE")


def test_a_row_of_the_export_is_the_same_fact_as_its_event() -> None:
    """The same key, whichever of them comes first."""
    charge = {"id": "ch_wi_5", "object": "charge", "amount": 12000, "amount_refunded": 2000, "currency": "eur", "captured": True}
    charge |= {"payment_intent": "pi_wi_5", "status": "succeeded", "created": 1}
    rows = {one.identity: one for one in told(SAMPLES / "stripe-payments.csv")}
    for kind in ("charge.succeeded", "charge.refunded"):
        event = {"id": "evt", "object": "event", "type": kind, "created": 1, "data": {"object": charge}}
        (reported,) = provider("stripe").translate(json.dumps(event).encode(), "default", {}).facts
        row = rows[reported.identity]
        assert (row.case_ids, row.amount, row.account) == (reported.case_ids, reported.amount, reported.account)


def test_stripes_objects_are_read_by_their_state(tmp_path: Path) -> None:
    assert summary(told(SAMPLES / "stripe.jsonl")) == [
        "payment.succeeded#pi_wi_8 7000 2026-06-09T10:13:20Z",
        "refund.succeeded#re_wi_8 7000 2026-06-11T17:46:40Z",
        "payment.succeeded#pi_wi_9 5500 2026-06-12T21:33:20Z",
        "dispute.lost#dp_wi_9 5500 2026-06-21T00:00:00Z",
    ]
    made = {"created": 1781000000, "currency": "eur", "amount": 100}
    page = [
        {"object": "refund", "id": "re_1", "status": "pending", "charge": "ch_1"} | made,
        {"object": "refund", "id": "re_2", "status": "failed", "charge": "ch_1"} | made,
        {"object": "charge", "id": "ch_2", "status": "failed"} | made,
        {"object": "charge", "id": "ch_3", "status": "pending"} | made,
        {"object": "dispute", "id": "dp_1", "status": "needs_response", "charge": "ch_1"} | made,
        {"object": "payout", "id": "po_1", "status": "paid", "arrival_date": 1781222400} | made,
        {"object": "payout", "id": "po_2", "status": "in_transit"} | made,
        {"object": "payment_intent", "id": "pi_1", "status": "succeeded", "amount_received": 100} | made,
        {"object": "payment_intent", "id": "pi_2", "status": "requires_payment_method"} | made,
        {"object": "invoice", "id": "in_1", "status": "paid", "amount_paid": 100, "payment_intent": "pi_3"} | made,
        {"object": "customer", "id": "cus_1"},
    ]
    assert summary(told(lines(tmp_path / "a", {"object": "list", "data": page}))) == [
        "refund.failed#re_2 100 2026-06-09T10:13:20Z",
        "payment.failed#ch_2#ch_2 100 2026-06-09T10:13:20Z",
        "dispute.opened#dp_1 100 2026-06-09T10:13:20Z",
        "payout.paid#po_1 100 2026-06-12T00:00:00Z",
        "payment.succeeded#pi_1 100 2026-06-09T10:13:20Z",
        "payment.succeeded#pi_3 100 2026-06-09T10:13:20Z",
    ]


def test_a_charge_that_lists_its_refunds_states_each_on_its_day(tmp_path: Path) -> None:
    refunds = [
        {"object": "refund", "id": f"re_{n}", "amount": 100 * n, "currency": "eur", "created": 1781000000 + 86400 * n}
        for n in (1, 2)
    ]
    charge = {"object": "charge", "id": "ch_1", "status": "succeeded", "amount": 900, "amount_refunded": 300, "currency": "eur"}
    charge |= {"created": 1781000000, "refunds": {"object": "list", "data": [one | {"status": "succeeded"} for one in refunds]}}
    assert summary(told(lines(tmp_path / "a", charge))) == [
        "payment.succeeded#ch_1 900 2026-06-09T10:13:20Z",
        "refund.succeeded#re_1 100 2026-06-10T10:13:20Z",
        "refund.succeeded#re_2 200 2026-06-11T10:13:20Z",
    ]


@pytest.mark.parametrize(
    ("refunds", "is_complete"),
    [([], False), ([(200, "succeeded")], False), ([(300, "failed")], False), ([(100, "succeeded"), (200, "pending")], True)],
)
def test_a_refunded_charge_asks_for_its_refunds(refunds: list[tuple[int, str]], is_complete: bool, tmp_path: Path) -> None:
    """A charge alone does not say when money went back, and its credit note needs a day."""
    charge = {"object": "charge", "id": "ch_1", "status": "succeeded", "amount": 900, "amount_captured": 800, "currency": "eur"}
    charge |= {"amount_refunded": 400, "created": 1781000000, "captured": True}
    told_refunds = [
        {
            "object": "refund",
            "id": f"re_{n}",
            "charge": "ch_1",
            "amount": amount,
            "currency": "eur",
            "status": status,
            "created": 1,
        }
        for n, (amount, status) in enumerate(refunds)
    ]
    missing = ["line 1: a refunded charge whose refunds are not in the file: add Stripe's refunds to it"]
    assert faults(lines(tmp_path / "a", charge, *told_refunds)) == ([] if is_complete else missing)


def test_an_event_that_only_names_an_object_is_no_history(tmp_path: Path) -> None:
    thin = {"object": "v2.core.event", "id": "evt_1", "type": "v1.charge.succeeded", "created": "2026-05-02T10:15:09.000Z"}
    path = lines(tmp_path / "a", thin | {"related_object": {"id": "ch_1", "type": "charge", "url": "/v1/charges/ch_1"}})
    assert faults(path) == ["line 1: names an object without its content: export the object itself"]


# --- Adyen ---------------------------------------------------------------------------------------------------------------


def test_adyens_report_is_what_its_notifications_report() -> None:
    assert summary(told(SAMPLES / "adyen-accounting.csv")) == [
        "payment.succeeded#WIPSP10000000001 3650 2026-06-01T12:02:12Z",
        "refund.succeeded#WIMOD10000000002 3650 2026-06-08T07:30:00Z",
        "refund.succeeded#WIMOD10000000002 3650 2026-06-10T00:00:00Z",
        "payment.failed#WIPSP10000000003 9900 2026-06-02T16:44:01Z",
    ]
    notified = {one.identity for one in told(SAMPLES / "adyen-notifications.jsonl")}
    assert "refund.succeeded#WIMOD10000000002" in notified


def test_what_is_captured_by_hand_is_a_capture() -> None:
    facts = summary(told(SAMPLES / "adyen-accounting.csv", **MANUAL))
    assert facts[:2] == [
        "payment.authorized#WIPSP10000000001 3650 2026-06-01T12:02:12Z",
        "payment.captured#WIMOD10000000001 3650 2026-06-01T13:10:00Z",
    ]


@pytest.mark.parametrize("wrap", [lambda item: item, lambda item: {"NotificationRequestItem": item}])
def test_one_item_of_a_notification_is_a_line_too(wrap: Any, tmp_path: Path) -> None:
    deliveries = [json.loads(line) for line in (SAMPLES / "adyen-notifications.jsonl").read_text(encoding="utf-8").splitlines()]
    items = [one["notificationItems"][0]["NotificationRequestItem"] for one in deliveries]
    assert told(lines(tmp_path / "a", *map(wrap, items))) == told(SAMPLES / "adyen-notifications.jsonl")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((",Authorised,EUR", ",SettledBackwards,EUR"), "the record type is not known"),
        (("EUR,36.50,Authorised", "EUR,36.505,Authorised"), "an amount is not in whole minor units of its currency"),
        (("EUR,36.50,Authorised", "EUR,many,Authorised"), "an amount is no number such as 12.34"),
        (("EUR,36.50,Authorised", "ABC,36.50,Authorised"), "the currency is not known"),
        (("14:02:12,CEST", "14:02:12,MARS"), "the time zone is not known"),
        (("2026-06-01 14:02:12", "yesterday"), "Booking Date is no time such as 2026-01-31 10:00:00"),
    ],
)
def test_a_row_of_adyens_report_that_cannot_be_read_is_named(change: tuple[str, str], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text((SAMPLES / "adyen-accounting.csv").read_text(encoding="utf-8").replace(*change, 1), encoding="utf-8")
    assert faults(path) == [f"line 3: {reason}"]


def test_a_refund_without_its_reference_asks_for_the_column(tmp_path: Path) -> None:
    path = tmp_path / "a"
    text = (SAMPLES / "adyen-accounting.csv").read_text(encoding="utf-8")
    path.write_text(text.replace("WIMOD10000000002", ""), encoding="utf-8")
    assert set(faults(path)) == {
        f"line {line}: Modification Psp Reference is missing: add this column to the report" for line in (6, 7)
    }


# --- archive -------------------------------------------------------------------------------------------------------------


def test_an_archive_holds_facts_as_they_are(tmp_path: Path) -> None:
    facts = [succeeded(fee=None, items=()), refund("re_1", 5, also_known_as=("ch_1",)), fact("payment.failed", "pay_1", 3)]
    assert told(written(tmp_path / "a", facts)) == facts


def test_what_the_pipeline_concludes_is_not_taken_from_an_archive(tmp_path: Path) -> None:
    concluded = fact("payment.settled", "pay_1", 5, occurrence="po_1")
    assert told(written(tmp_path / "a", [concluded, succeeded()])) == [succeeded()]


@pytest.mark.parametrize(
    "change",
    [
        {"type": "payment.imagined"},
        {"provider": "acme"},
        {"key": ""},
        {"account": 7},
        {"occurred_at": "yesterday"},
        {"occurred_at": "2026-11-20T12:00:00+01:00"},
        {"amount": {"value": 1.5, "currency": "EUR"}},
        {"amount": {"value": 1, "currency": "ABC"}},
        {"amount": 5},
        {"also_known_as": [5]},
        {"unknown": 1},
    ],
)
def test_a_line_that_is_no_fact_of_ours_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    line = json.loads(line_of(succeeded(), "evt_1"))
    path = lines(tmp_path / "a", line | {"fact": line["fact"] | change})
    (fault,) = faults(path)
    assert fault.startswith("line 1: ")
