"""The printed form of a document. Texts are formatted here for the reader's language; `document.typ` lays them out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import cvttf_NotoSansCJK_Regular as cjk_font  # type: ignore[import-untyped]
import pymupdf_fonts  # type: ignore[import-untyped]
import typst
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_interval
from babel.numbers import format_currency, format_decimal, format_percent

from tools.sandbox.wire import Record

_TEMPLATE = Path(__file__).with_name("document.typ")
_LABELS = Path(__file__).with_name("labels.json")
_FIRAGO = ("figo", "figbo", "figit", "figbi")
_ALL_STYLES = b'#set text(font: "FiraGO")\na *b* _c_ *_d_*'
_ACCENT = "#1f5f8b"
_DAY_LENGTH = len("2026-01-01")
_HUNDRED = 100


def render_pdf(document: Record, payments: Sequence[Record], options: Record) -> bytes:
    """The PDF of a document as the API returns it, with its payments.

    `options` has the reader's `locale`, such as `de-DE`; an unknown one is read as English. A `stamp` is printed across the page
    in place of the one that the document's state asks for. The same input gives the same bytes.
    """
    reader = _Reader.of(options["locale"])
    data = _page(document, payments, reader)
    data["stamp"] = options.get("stamp") or data["stamp"]
    created = datetime.fromisoformat(document["created_at"])
    pdf = _compiler().compile(format="pdf", sys_inputs={"data": json.dumps(data)}, timestamp=int(created.timestamp()))
    if not isinstance(pdf, bytes):
        raise TypeError("the typesetter must give one file")
    return pdf


@dataclass(frozen=True, slots=True)
class _Reader:
    """The language and customs texts are written in."""

    locale: Locale
    labels: dict[str, str]

    @classmethod
    def of(cls, name: str) -> _Reader:
        try:
            locale = Locale.parse(name.replace("_", "-"), sep="-")
        except (UnknownLocaleError, ValueError):
            locale = Locale("en")
        known = _labels()
        return cls(locale, known.get(locale.language, known["en"]))

    def money(self, amount: Decimal | int, currency: str) -> str:
        return str(format_currency(Decimal(amount).normalize(), currency, locale=self.locale, decimal_quantization=False))

    def number(self, value: Decimal | int) -> str:
        return str(format_decimal(Decimal(value), locale=self.locale, decimal_quantization=False))

    def percent(self, rate: Decimal | int) -> str:
        return str(format_percent(Decimal(rate) / _HUNDRED, locale=self.locale, decimal_quantization=False))

    def day(self, text: str) -> str:
        return str(format_date(date.fromisoformat(text[:_DAY_LENGTH]), format="long", locale=self.locale))

    def country(self, party: Record) -> str | None:
        """The country in the reader's language, as far as it is known by code; else as it was given."""
        code = party.get("country_code") or ""
        return self.locale.territories.get(code.upper()) or party.get("country") or code or None

    def period(self, start: str, end: str) -> str:
        first, last = date.fromisoformat(start), date.fromisoformat(end)
        return str(format_interval(first, last, "yMMMd", locale=self.locale))


def _page(document: Record, payments: Sequence[Record], reader: _Reader) -> Record:
    labels = reader.labels
    credit = document["id"].startswith("cre_")
    word = labels["credit_note" if credit else "invoice"]
    columns = _columns(document, labels)
    return {
        "lang": reader.locale.language,
        "accent": _ACCENT,
        "labels": labels,
        "title": " ".join(filter(None, (word, document["number"]))),
        "title-word": word,
        "number": document["number"],
        "stamp": _stamp(document, labels),
        "issuer": _party(document["issuer"], reader),
        "customer": _party(document["customer"] or {"name": labels["retail"]}, reader),
        "customer-caption": labels["customer" if credit else "bill_to"],
        "imprint": _imprint(document["issuer"], labels),
        "facts": _facts(document, reader),
        "columns": columns,
        "lines": [_line(item, document["currency_code"], reader, columns) for item in document["items"]],
        "tax-head": [labels[name] for name in ("rate", "base", "tax", "gross")],
        "taxes": [_tax(row, document["currency_code"], reader) for row in document["taxes"]],
        "totals": _totals(document, reader, credit=credit),
        "payments": [_payment(payment, reader) for payment in payments],
        "payments-caption": labels["refunds" if credit else "payments"],
        "notes": [document[name] for name in ("tax_clause", "note", "payment_terms", "footer", "signature") if document[name]],
    }


def _stamp(document: Record, labels: dict[str, str]) -> str | None:
    if document["voided_at"]:
        return labels["void"]
    return labels["draft"] if document["is_draft"] else None


def _party(party: Record, reader: _Reader) -> Record:
    place = " ".join(filter(None, (party.get("post_code"), party.get("city"))))
    rows = [
        party.get("address"),
        party.get("address_2"),
        ", ".join(filter(None, (place, party.get("state")))),
        reader.country(party),
        f"{reader.labels['tax_number']}: {party['tax_number']}" if party.get("tax_number") else None,
        party.get("email"),
    ]
    return {"name": party.get("name") or "", "rows": [row for row in rows if row]}


def _imprint(issuer: Record, labels: dict[str, str]) -> list[str]:
    named = [f"{labels[name]} {issuer[name]}" for name in ("company_number", "tax_number") if issuer.get(name)]
    return [row for row in (issuer.get("name"), *named, issuer.get("phone")) if row]


def _facts(document: Record, reader: _Reader) -> list[Record]:
    labels = reader.labels
    related = _related(document, labels)
    named = {number for _, number in related}
    rows: list[tuple[str, str | None]] = [
        (labels["date"], reader.day(document["date"])),
        (labels["date_due"], document["date_due"] and reader.day(document["date_due"])),
        _service(document, reader),
        *related,
        (labels["reference"], None if document["reference"] in named else document["reference"]),
    ]
    return [{"label": label, "value": value, "strong": index == 0} for index, (label, value) in enumerate(rows) if value]


def _service(document: Record, reader: _Reader) -> tuple[str, str | None]:
    start, end = document["date_service"], document["date_service_to"]
    if not start or not end or start == end:
        return reader.labels["service_date"], start and reader.day(start)
    return reader.labels["service_period"], reader.period(start, end)


def _related(document: Record, labels: dict[str, str]) -> list[tuple[str, str | None]]:
    names = {"credit_for": "corrects", "has_credit": "corrected_by"}
    return [
        (labels[names.get(relation["relation_type"], "refers_to")], relation["related_document"]["number"])
        for relation in document["document_relations"]
    ]


def _columns(document: Record, labels: dict[str, str]) -> Record:
    sold = [item for item in document["items"] if item["type"] != "separator"]
    gross = all(item["gross_price"] is not None for item in sold)
    taxed = bool(document["taxes"])
    return {
        "gross": gross,
        "tax": taxed,
        "discount": any(item["discounts"] for item in sold),
        "price": labels["price_gross" if gross and taxed else "price"],
        "amount": labels["amount_gross" if gross and taxed else "amount"],
    }


def _line(item: Record, currency: str, reader: _Reader, columns: Record) -> Record:
    shown: Record = {"name": item["name"] or "", "description": item["description"], "heading": item["type"] == "separator"}
    if shown["heading"]:
        return shown
    gross = item["gross_price"] is not None
    price = reader.money(item["gross_price"] if gross else item["price"], currency)
    # Where net and gross prices stand in one table, the gross ones say so.
    marked = gross and columns["tax"] and not columns["gross"]
    return shown | {
        "quantity": " ".join(filter(None, (reader.number(item["quantity"]), item["unit"]))),
        "price": f"{price} ({reader.labels['incl_tax']})" if marked else price,
        "discount": " + ".join(_discount(one, currency, reader) for one in item["discounts"]),
        "tax": ", ".join(reader.percent(tax["rate"]) for tax in item["taxes"]),
        "amount": reader.money(item["total_with_tax"] if columns["gross"] else item["total"], currency),
    }


def _discount(discount: Record, currency: str, reader: _Reader) -> str:
    percent = discount["type"] == "percent"
    return "\u2212" + (reader.percent(discount["value"]) if percent else reader.money(discount["value"], currency))


def _tax(row: Record, currency: str, reader: _Reader) -> list[str]:
    rate = reader.percent(row["rate"])
    amounts = (row["base"], row["amount"], row["base"] + row["amount"])
    shown = f"{rate}, {reader.labels['reverse_charge']}" if row["reverse_charge"] else rate
    return [shown, *(reader.money(amount, currency) for amount in amounts)]


def _totals(document: Record, reader: _Reader, *, credit: bool) -> list[Record]:
    labels, currency = reader.labels, document["currency_code"]
    taxes = [
        (f"{labels['tax']} {reader.percent(row['rate'])}", row["amount"])
        for row in document["taxes"]
        if not row["reverse_charge"]
    ]
    parts = [(labels["net_total"], document["total"]), *taxes] if document["taxes"] else []
    if document["rounding_correction"]:
        parts.append((labels["rounding"], document["rounding_correction"]))
    rows = [_total(label, amount, currency, reader) for label, amount in parts]
    whole = _total(labels["total_credit" if credit else "total"], document["total_with_tax"], currency, reader)
    rows.append(whole | {"strong": True, "band": True})
    if not document["is_draft"]:
        rows.append(_total(labels["refunded" if credit else "paid"], document["total_paid"], currency, reader))
        due = _total(labels["open_credit" if credit else "due"], document["total_due"], currency, reader)
        rows.append(due | {"strong": True})
    return rows


def _total(label: str, amount: Decimal, currency: str, reader: _Reader) -> Record:
    return {"label": label, "value": reader.money(amount, currency), "strong": False, "band": False}


def _payment(payment: Record, reader: _Reader) -> list[str]:
    method = "credit_note_applied" if payment["type"] == "credit_note" else payment["type"]
    amount = reader.money(payment["amount"], payment["currency_code"])
    return [reader.day(payment["date"]), reader.labels[method], payment["reference"] or "", amount]


@cache
def _labels() -> dict[str, dict[str, str]]:
    labels: dict[str, dict[str, str]] = json.loads(_LABELS.read_text(encoding="utf-8"))
    return labels


@cache
def _compiler() -> typst.Compiler:
    return typst.Compiler(input=_TEMPLATE, root=_TEMPLATE.parent, font_paths=fonts())


@cache
def fonts() -> typst.Fonts:
    """FiraGO for most of the world's scripts and Noto Sans CJK for Chinese, Japanese and Korean; no font of the machine."""
    east_asian = Path(cjk_font.get_TTF_path()).parent
    with tempfile.TemporaryDirectory(prefix="sandbox-fonts-") as folder:
        for name in _FIRAGO:
            Path(folder, f"{name}.otf").write_bytes(pymupdf_fonts.myfont(name))
        loaded = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[Path(folder), east_asian])
        # Files are read when a page first needs them: this page needs them all, so that the folder need not stay.
        typst.compile(_ALL_STYLES, font_paths=loaded, format="pdf")
    return loaded
