"""The printed form of documents, read back from the PDF."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pypdf import PdfReader
from pypdf.generic import ContentStream

from tests.contract.sandbox_driver import Api, invoice_body


def _text(api: Api, identifier: str, **query: str) -> str:
    reply = api.call("GET", f"/documents/{identifier}/pdf", query=query or {"language": "en-US"})
    assert reply.headers["content-type"] == "application/pdf"
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(reply.content)).pages)


@pytest.fixture
def api() -> Api:
    api = Api()
    details = {"address": "Slovenska 12", "post_code": "1000", "city": "Ljubljana", "tax_number": "SI12345678"}
    api.call("PATCH", f"/entities/{api.entity}", details)
    return api


CUSTOMER = {"name": "Ada Ltd", "address": "Hauptstr. 1", "city": "Berlin", "country_code": "DE", "tax_number": "DE999"}


def test_an_invoice_says_all_that_an_invoice_must(api: Api) -> None:
    items: list[dict[str, Any]] = [
        {"type": "separator", "name": "Plans"},
        {"name": "Team plan", "description": "25 seats", "quantity": 2, "gross_price": 610, "taxes": [{"rate": 22}]},
        {
            "name": "Coffee",
            "quantity": 1,
            "unit": "kg",
            "gross_price": 10.95,
            "taxes": [{"rate": 9.5}],
            "discounts": [{"value": 10}],
        },
    ]
    invoice = api.invoice(
        items=items,
        customer=CUSTOMER,
        date_service="2026-11-01",
        date_service_to="2026-11-30",
        reference="Order 9",
        note="Thank you.",
        payments=[{"type": "card", "amount": 1000, "reference": "pay_1"}],
        expected_total_with_tax=1229.90,
    )
    text = _text(api, invoice["id"])
    issuer = ("Alpine Coffee d.o.o.", "Slovenska 12", "1000 Ljubljana", "Slovenia", "SI12345678")
    buyer = ("Ada Ltd", "Hauptstr. 1", "Berlin", "Germany", "DE999")
    facts = (
        "Invoice",
        "2026-00001",
        "November 20, 2026",
        "December 20, 2026",
        "Nov 1 \N{EN DASH} 30, 2026",
        "Order 9",
        "Thank you.",
    )
    lines = ("Plans", "Team plan", "25 seats", "€610.00", "€1,220.00", "Coffee", "1 kg", "\N{MINUS SIGN}10%", "€9.86")
    sums = ("22%", "€1,000.00", "€220.00", "9.5%", "€9.00", "€0.86", "Rounding", "€0.04", "€1,229.90", "€229.90", "pay_1", "Card")
    for expected in (*issuer, *buyer, *facts, *lines, *sums):
        assert expected in text


def test_a_credit_note_names_the_invoice_it_corrects(api: Api) -> None:
    invoice = api.invoice(payments=[{"type": "card"}])
    note = api.credit_note(61, linked_documents=[invoice["id"]], reference=invoice["number"], payments=[{"type": "card"}])
    text = _text(api, note["id"])
    for expected in ("Credit note", "CN-2026-00001", "Corrects invoice", "2026-00001", "Total credit", "€61.00", "Paid out"):
        assert expected in text
    assert "Due date" not in text
    assert "CN-2026-00001" in _text(api, invoice["id"])


@pytest.mark.parametrize("path", ["/invoices", "/credit-notes"])
def test_net_tax_by_rate_gross_and_the_clause_are_printed(api: Api, path: str) -> None:
    standard = api.create("/taxes", {"tax_rates": [{"rate": 19}]})["id"]
    reduced = api.create("/taxes", {"tax_rates": [{"rate": 7}]})["id"]
    items = [
        {"name": name, "quantity": 1, "price": price, "taxes": [{"tax_id": tax, "reverse_charge": reverse}]}
        for name, price, tax, reverse in (("A", 100, standard, False), ("B", 200, reduced, False), ("C", 300, standard, True))
    ]
    clause = "Steuerschuldnerschaft des Leistungsempf\u00e4ngers"
    body = {"items": items, "customer": CUSTOMER, "tax_clause": clause}
    text = _text(api, api.create(path, body)["id"])
    sums = ("€600.00", "€19.00", "€14.00", "€633.00", "Tax 19%", "Tax 7%", "19%, reverse charge", "€0.00")
    for expected in (*sums, clause):
        assert expected in text
    assert text.count("Tax 19%") == 1


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de-DE", ("Rechnung", "20. November 2026", "122,00 €", "22 %", "Retail customer", "Endkunde")),
        ("sl-SI", ("Račun", "20. november 2026", "122,00 €")),
        ("fr-FR", ("Facture", "20 novembre 2026", "122,00 €")),
        ("it-IT", ("Fattura", "20 novembre 2026")),
        ("es-ES", ("Factura", "20 de noviembre de 2026")),
        ("is-IS", ("Invoice", "20. nóvember 2026")),
        ("xx-YY", ("Invoice", "November 20, 2026")),
        ("../../x", ("Invoice",)),
    ],
)
def test_it_is_written_for_the_reader(api: Api, language: str, expected: tuple[str, ...]) -> None:
    text = (
        _text(api, api.invoice()["id"], language=language)
        .replace("\N{NO-BREAK SPACE}", " ")
        .replace("\N{NARROW NO-BREAK SPACE}", " ")
    )
    for one in expected:
        assert (one in text) == (one != "Retail customer" or language.startswith("en"))


def test_without_a_language_it_is_the_entitys(api: Api) -> None:
    assert (
        "Račun" in PdfReader(io.BytesIO(api.call("GET", f"/documents/{api.invoice()['id']}/pdf").content)).pages[0].extract_text()
    )


@pytest.mark.parametrize(
    "name", ["Žiga Čopič", "Ада Лавлейс", "Άδα Λάβλεϊς", "株式会社エイダ", "艾达有限公司", "에이다", "نور", "עדה", "अदा", "ადა"]
)
def test_all_these_scripts_have_their_letters(api: Api, name: str) -> None:
    invoice = api.invoice(customer={"name": name}, note=name)
    assert _missing_glyphs(api.call("GET", f"/documents/{invoice['id']}/pdf").content) == 0


def test_a_letter_without_a_glyph_would_be_noticed(api: Api) -> None:
    invoice = api.invoice(customer={"name": "\ue123\ue123"})
    assert _missing_glyphs(api.call("GET", f"/documents/{invoice['id']}/pdf").content) == 2


def _missing_glyphs(pdf: bytes) -> int:
    """How often glyph 0 is drawn, which fonts have for what they do not have. All texts use two-byte glyph codes."""
    reader = PdfReader(io.BytesIO(pdf))
    operations = ContentStream(reader.pages[0].get_contents(), reader).operations
    texts = [
        text for operands, operator in operations if operator == b"TJ" for text in operands[0] if hasattr(text, "original_bytes")
    ]
    codes = [text.original_bytes[at : at + 2] for text in texts for at in range(0, len(text.original_bytes), 2)]
    assert codes
    return codes.count(b"\0\0")


def test_markup_in_texts_is_text(api: Api) -> None:
    text = _text(api, api.invoice(note='#panic("x") $1$ *bold* \\ `raw` <label> @ref')["id"])
    assert '#panic("x") $1$ *bold* \\ `raw` <label> @ref' in text


def test_net_and_gross_prices_in_one_document_are_told_apart(api: Api) -> None:
    items = [
        {"name": "A", "quantity": 1, "price": 100, "taxes": [{"rate": 22}]},
        {"name": "B", "quantity": 1, "gross_price": 122, "taxes": [{"rate": 22}]},
    ]
    text = _text(api, api.invoice(items=items)["id"])
    assert "€122.00 (incl. tax)" in text
    assert "Unit price incl. tax".upper() not in text


def test_drafts_and_voided_documents_cannot_be_mistaken(api: Api) -> None:
    assert "Draft" in _text(api, api.invoice(is_draft=True)["id"])
    voided = api.invoice()["id"]
    assert "Void" not in _text(api, voided)
    api.call("POST", f"/invoices/{voided}/void")
    assert "Void" in _text(api, voided)


def test_many_lines_run_over_pages_with_their_heading(api: Api) -> None:
    invoice = api.invoice(items=invoice_body()["items"] * 70)
    reply = api.call("GET", f"/documents/{invoice['id']}/pdf", query={"language": "en-US"})
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(reply.content)).pages]
    assert len(pages) > 2
    assert all("DESCRIPTION" in page for page in pages[:2])
    assert f"Page 2 / {len(pages)}" in pages[1]


def test_the_same_document_gives_the_same_bytes(api: Api) -> None:
    path = f"/documents/{api.invoice()['id']}/pdf"
    assert api.call("GET", path).content == api.call("GET", path).content


def test_only_documents_have_a_pdf(api: Api) -> None:
    assert api.call("GET", "/documents/inv_unknown/pdf").status == 404
