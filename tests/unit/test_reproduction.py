"""A document printed from the ledger says what the original says, and that it is not the original."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pypdf import PdfReader

from quittance.facts import Payer
from quittance.ledger import CaseFile, Ledger
from quittance.registration import customer_pk, read_customer
from tests.unit.stories import fact, refund, succeeded
from tests.use_cases.fee_world import FeeWorld, charged
from tests.use_cases.world import World
from tools.reproduction import STAMP, NotPrintedError, reproduced

ADDRESS = {"line1": "Hafenstr. 1", "city": "Hamburg", "postal_code": "20457"}
BUYER = Payer(name="Ada Ltd", country="DE", line1="Ring 2", city="Bonn")


def world_of(**profile: Any) -> World:
    world = World()
    world.register(**{"address": ADDRESS, "tax_number": "DE129273398", "policy": {"tax": {"domestic": "19"}}} | profile)
    world.seconds += 5
    return world


def case_of(world: World) -> CaseFile:
    return Ledger(world.table).open("stripe", "acct_1", ["pay_1"], join=False)


def printed(world: World, key: str, issuer_id: str = "bc_1") -> bytes:
    issuer = read_customer(world.table, issuer_id)
    assert issuer
    return reproduced(case_of(world), key, issuer, world.table.read_partition(customer_pk(issuer_id), "FACT#"))


def original(world: World, key: str, issuer_id: str = "bc_1") -> bytes:
    issuer = read_customer(world.table, issuer_id)
    assert issuer
    assert issuer.entity_id
    return world.api.pdf(case_of(world).documents[key].record.api_id, entity_id=issuer.entity_id)


def lines_of(pdf: bytes) -> list[str]:
    return [line for page in PdfReader(io.BytesIO(pdf)).pages for line in page.extract_text().splitlines()]


def without_marks(lines: list[str]) -> list[str]:
    """Without the stamp and the notice, which is the last text of the page before its footer."""
    start = next(number for number, line in enumerate(lines) if line.startswith("Reproduced from"))
    end = next(number for number in range(start, len(lines)) if lines[number].endswith("not the original document."))
    return [line for line in lines[:start] + lines[end + 1 :] if line != STAMP]


@pytest.mark.parametrize("key", ["invoice:payment:pay_1", "credit_note:refund:re_1", "invoice:refund:re_1"])
def test_it_says_what_the_original_said(key: str) -> None:
    world = world_of()
    originals: dict[str, bytes] = {}
    for story in (
        succeeded(11900, payer=BUYER),
        refund("re_1", 2500),
        fact("refund.failed", "re_1", 2500, payment_id="pay_1", minute=30),
    ):
        world.take(story)
        originals |= {known: original(world, known) for known in case_of(world).documents if known not in originals}
    again = lines_of(printed(world, key))
    assert without_marks(again) == lines_of(originals[key])
    assert STAMP in again
    assert case_of(world).documents[key].record.number in " ".join(again)


def test_nothing_is_asked_of_the_api() -> None:
    world = world_of()
    world.take(succeeded(11900))
    asked = len(world.sandbox.seen)
    printed(world, "invoice:payment:pay_1")
    assert len(world.sandbox.seen) == asked


def test_a_seller_that_has_moved_since_is_printed_as_it_was() -> None:
    world = world_of()
    world.take(succeeded(11900))
    world.seconds += 3600
    world.update("2026-11-20T15:00:00Z", address=ADDRESS | {"line1": "Elbchaussee 9"})
    assert "Elbchaussee" in str(read_customer(world.table, "bc_1"))
    text = " ".join(lines_of(printed(world, "invoice:payment:pay_1")))
    assert "Hafenstr. 1" in text
    assert "Elbchaussee" not in text


def test_a_draft_is_printed_as_one() -> None:
    world = world_of(policy={"issue_as": "draft", "finalize_on": "manual"})
    world.take(succeeded(11900))
    assert "issued at" in " ".join(lines_of(printed(world, "invoice:payment:pay_1")))
    assert "record of a draft" in " ".join(lines_of(printed(world, "invoice:payment:pay_1")))


def test_a_fee_is_printed_as_the_platforms() -> None:
    world = FeeWorld({"fee_invoices": "each"})
    world.seconds += 5
    world.take(charged())
    lines = lines_of(printed(world, "invoice:fee:pay_1", "platform"))
    assert without_marks(lines) == lines_of(original(world, "invoice:fee:pay_1", "platform"))


def test_what_has_no_print_is_refused() -> None:
    world = world_of(policy={"send_email": True})
    world.take(succeeded(11900, payer=Payer(email="ada@example.com")))
    with pytest.raises(NotPrintedError, match="email:invoice:payment:pay_1 is not an issued invoice or credit note"):
        printed(world, "email:invoice:payment:pay_1")
