"""Real Stripe payloads against a reviewed table of what each means."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from quittance.errors import Reject
from quittance.providers import provider, provider_names
from tools.translate import translated

ROOT = Path(__file__).parents[2]
FIXTURES = Path(os.environ.get("QUITTANCE_FIXTURES", ROOT.parent / "shared" / "fixtures"))
EXPECTED: dict[str, Any] = json.loads((Path(__file__).parent / "expectations" / "stripe.json").read_text(encoding="utf-8"))
TEMPLATE = "template.charge.dispute.multiple-balance-transactions.json"

pytestmark = pytest.mark.skipif(not (FIXTURES / "stripe").is_dir(), reason=f"no payloads in {FIXTURES}")


def meaning(line: dict[str, Any]) -> dict[str, Any]:
    """The part of a line that is reviewed."""
    kept = ("type", "key", "payment_id", "account", "amount", "occurrence", "also_known_as", "invoice_id", "awaits_renewal")
    facts = [{name: fact[name] for name in kept if fact[name] not in (None, [])} for fact in line["facts"]]
    told = {"facts": facts, "fetch": line["fetch"], "ignored": line["ignored"], "error": line["error"]}
    return {name: value for name, value in told.items() if value}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_real_payload_means_what_was_reviewed(name: str) -> None:
    assert meaning(translated("stripe", FIXTURES / "stripe" / name)) == EXPECTED[name]


def test_every_real_payload_was_reviewed() -> None:
    assert {file.name for file in (FIXTURES / "stripe").glob("*.json")} == set(EXPECTED)


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


@pytest.mark.parametrize("name", provider_names())
def test_what_another_provider_sent_is_refused_or_ignored(name: str) -> None:
    for file in FIXTURES.rglob("*.*"):
        if file.parent.name != name and not file.name.endswith(".source.txt"):
            try:
                translation = provider(name).translate(file.read_bytes(), "default", {})
            except Reject:
                continue
            assert not translation.facts, file.name


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
