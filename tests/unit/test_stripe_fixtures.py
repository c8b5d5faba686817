"""What the reviewed table of Stripe's payloads cannot hold: a payload with blanks, and how a line tells of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools.translate import translated

ROOT = Path(__file__).parents[2]
FIXTURES = Path(os.environ.get("QUITTANCE_FIXTURES", ROOT.parent / "shared" / "fixtures"))
TEMPLATE = "template.charge.dispute.multiple-balance-transactions.json"

pytestmark = pytest.mark.skipif(not (FIXTURES / "stripe").is_dir(), reason=f"no payloads in {FIXTURES}")


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("charge.dispute.created", "needs_response", [("dispute.opened", 6500)]),
        ("charge.dispute.updated", "under_review", "dispute_open"),
        ("charge.dispute.closed", "lost", [("dispute.lost", 6450)]),
        ("charge.dispute.closed", "won", [("dispute.lost", 6450)]),  # fifty pence of sixty-five pounds came back
        ("charge.dispute.closed", "warning_closed", "inquiry"),
    ],
)
def test_a_dispute_with_several_balance_transactions(tmp_path: Path, kind: str, status: str, expected: object) -> None:
    filled = tmp_path / "event.json"
    text = (FIXTURES / "stripe" / TEMPLATE).read_text(encoding="utf-8")
    filled.write_text(text.replace("{{type}}", kind).replace("{{status}}", status), encoding="utf-8")
    line = translated("stripe", filled)
    assert (line["ignored"] or [(fact["type"], fact["amount"]["value"]) for fact in line["facts"]]) == expected


def test_a_file_that_is_not_there_is_a_line_with_an_error(tmp_path: Path) -> None:
    assert translated("stripe", tmp_path / "absent.json")["error"] == "unreadable_file: FileNotFoundError"


def test_an_unknown_provider_is_a_line_with_an_error() -> None:
    assert translated("cowrie", FIXTURES / "stripe" / TEMPLATE)["error"] == "provider_unknown"


def test_an_account_is_told_only_if_the_event_names_it() -> None:
    events = ROOT / "events"
    connect = translated("stripe", events / "stripe" / "payment_intent.succeeded.connect.json")["facts"][0]
    direct = translated("stripe", events / "stripe" / "payment_intent.succeeded.json")["facts"][0]
    own = translated("platform", events / "platform" / "payment.succeeded.json")["facts"][0]
    assert (connect["account"], direct["account"], own["account"]) == ("acct_1AlderYoga", None, None)
    assert (own["business_customer"], direct["business_customer"]) == ("bc_harbour_books", None)
