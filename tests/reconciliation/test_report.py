"""The report: right, complete, harmless to who opens it, and readable by everybody."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import asdict, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from quittance.acknowledgements import Acknowledgement
from quittance.money import Money
from quittance.reconciliation.finding_classes import CLASSES
from quittance.reconciliation.report import rendered
from quittance.reconciliation.report.charts import WIDTH, Bar, Part, bars
from quittance.reconciliation.report.sheets import text_cell
from quittance.reconciliation.report.wording import digits, lasting
from quittance.reconciliation.results import CustomerResult, Found, PayoutLine, Reconciliation, RepairMode, Severity, Totals
from quittance.reconciliation.tally import DAY_S, PAYOUTS_SHOWN, SHOWN, Level, Tally, levels
from tools.reports import write_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

BEGAN = 1_795_410_000  # 2026-11-23T05:00:00Z
HOSTILE = '=HYPERLINK("http://evil.invalid")<script>alert(1)</script>'
NUMBERS = {"invoices": 3, "credit_notes": 1}


def totals(currency: str = "EUR", residual: int = 0) -> Totals:
    return Totals(currency=currency, invoiced=1_234_550, credited=34_550, tax=216_393, planned=1_200_000 - residual, **NUMBERS)


def customer(name: str, *of: Totals, found: Iterable[Found] = ()) -> CustomerResult:
    own = Counter(one.code for one in found if one.business_customer == name)
    return CustomerResult(
        business_customer=name, entity_id="ent_1", payments=1_500, documents=4, waiting=2, totals=of, found_by_code=dict(own)
    )


def payout(payout_id: str, residual: int = 0) -> PayoutLine:
    return PayoutLine(
        payout_id=payout_id,
        provider="stripe",
        account="acct_1",
        business_customer="bc_1",
        occurred_at="2026-11-20T06:00:00Z",
        amount=Money(9_500 + residual, "EUR"),
        payments=11_000,
        fees=-300,
        refunds=-1_000,
        disputes=-200,
        other=0,
        residual=residual,
        documents=("doc_1", "doc_2"),
        unexplained=("txn_1",) if residual else (),
    )


def finding(code: str = "payment_without_invoice", value: int | None = 100, **changes: Any) -> Found:
    known = CLASSES[code]
    fields: dict[str, Any] = {"business_customer": "bc_1", "payment_id": "pay_1", "since": BEGAN - 10 * DAY_S} | changes
    amount = None if value is None else Money(value, "EUR")
    return Found(code=code, severity=known.severity, repair=known.repair, amount=amount, **fields)


def reconciliation(*customers: CustomerResult) -> Reconciliation:
    return Reconciliation(id="2026-11-23T05-00-00Z", started_at=BEGAN, finished_at=BEGAN + 65, customers=customers)


def report(
    of: Reconciliation, found: Iterable[Found] = (), payouts: Iterable[PayoutLine] = ()
) -> Iterator[tuple[str, str, bytes]]:
    return rendered(of, iter(found), iter(payouts), Tally(of.finished_at))


def files(of: Reconciliation, found: Iterable[Found] = (), payouts: Iterable[PayoutLine] = ()) -> dict[str, str]:
    return {name: body.decode() for name, _, body in report(of, found, payouts)}


def rows(sheet: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sheet.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"), newline="")))


class Page(HTMLParser):
    """What a browser and a screen reader make of a page: text, tables, and whether every element is closed."""

    VOID = frozenset({"meta", "line", "rect", "circle", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self._texts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open
        self.text = re.sub(r"\s+", " ", " ".join(self._texts)).replace("\N{NO-BREAK SPACE}", " ")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        self.attributes.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self._texts.append(data)
        if self.open and {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")


# ---------------------------------------------------------------- the verdict


def test_the_verdict_of_one_that_agrees() -> None:
    page = Page(files(reconciliation(customer("bc_1", totals())))["index.html"])
    assert "1,500 payments, 4 documents, nothing to look at; residual 0.00 EUR" in page.text
    assert "Nothing was found." in page.text
    assert page.seen["figure"] == 0


def test_the_verdict_of_one_that_does_not() -> None:
    found = [finding(), finding("duplicate"), finding("duplicate", document="doc_9")]
    page = Page(files(reconciliation(customer("bc_1", totals(residual=-1_200))), found)["index.html"])
    assert "1,500 payments, 4 documents, 3 things to look at; residual 12.00 EUR" in page.text
    assert "2 critical" in page.text
    assert "1 error " in page.text


def test_residuals_that_cancel_out_are_still_seen() -> None:
    of = reconciliation(customer("bc_1", totals(residual=700)), customer("bc_2", totals(residual=-700)))
    page = Page(files(of)["index.html"])
    assert "residual 14.00 EUR" in page.text
    assert "Residuals in EUR offset each other" in page.text
    assert "Nothing was found, yet totals leave a residual" in page.text


def test_a_payout_that_is_not_explained_is_no_agreement() -> None:
    of = reconciliation(customer("bc_1", totals()))
    page = Page(files(of, payouts=[payout("po_1"), payout("po_2", residual=1_250)])["index.html"])
    assert "residual 0.00 EUR; 1 payout not explained" in page.text
    assert "payouts lines without an explanation" in page.text
    assert "1 of 2" in page.text
    assert [(row[0][:4], row[-1]) for row in page.tables[2][1:]] == [("po_2", "12.50"), ("po_1", "0.00")]


def test_lines_that_cancel_each_other_out_are_no_explanation() -> None:
    of = reconciliation(customer("bc_1", totals()))
    offset = replace(payout("po_1"), unexplained=("txn_1", "txn_2"))
    page = Page(files(of, payouts=[payout("po_2"), offset])["index.html"])
    assert "residual 0.00 EUR; 1 payout not explained" in page.text
    assert page.tables[2][1][0].startswith("po_1")


def test_of_many_payouts_the_latest_are_shown() -> None:
    moments = [f"{year}-11-20T06:00:00Z" for year in range(1800, 1800 + 3 * PAYOUTS_SHOWN)]
    of = reconciliation(customer("bc_1", totals()))
    payouts = [replace(payout(f"po_{moment[:4]}"), occurred_at=moment) for moment in moments]
    failed = replace(payout("po_failed", residual=1), occurred_at="1700-01-01T00:00:00Z", state="failed")
    written = files(of, payouts=[failed, *payouts])
    table = Page(written["index.html"]).tables[2][1:]
    assert len(table) == PAYOUTS_SHOWN
    assert [row[0][:7] for row in table[:3]] == ["po_fail", "po_2399", "po_2398"]
    assert table[0][0].endswith("failed: nothing arrived")
    assert [row[1] for row in table[:2]] == ["1 Jan 1700", "20 Nov 2399"]
    assert [row["state"] for row in rows(written["payouts.csv"])] == ["failed"] + ["paid"] * len(payouts)


def test_nothing_at_all_is_a_report_too() -> None:
    page = Page(files(reconciliation())["index.html"])
    assert "0 payments, 0 documents, nothing to look at; residual none" in page.text


# ---------------------------------------------------------------- the page


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    found = [finding(detail=HOSTILE, payment_id=HOSTILE, document=HOSTILE, provider=HOSTILE, business_customer=HOSTILE)]
    of = reconciliation(customer(HOSTILE, totals(), totals("GBP"), found=found), customer("bc_2", totals()))
    html = files(of, found, [payout(HOSTILE)])["index.html"]
    page = Page(html)
    assert page.seen["script"] == page.seen["link"] == page.seen["img"] == 0
    assert not re.search(r"url\(|@import|javascript:", html)
    links = [attributes[name] for _, attributes in page.attributes for name in ("href", "src", "action") if name in attributes]
    assert links
    assert all(link and link.startswith("#") for link in links)
    assert HOSTILE in page.text


def test_a_page_can_be_read_by_those_who_do_not_see_it() -> None:
    found = [finding(), finding("duplicate")]
    of = reconciliation(customer("bc_1", totals(), found=found), customer("bc_2", totals()))
    html = files(of, found, [payout("po_1")])["index.html"]
    page = Page(html)
    assert page.seen["table"] == page.seen["caption"] == 4
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in page.attributes if tag == "th")
    drawn = [attributes for tag, attributes in page.attributes if tag == "svg"]
    ids = {attributes["id"] for _, attributes in page.attributes if "id" in attributes}
    named = [set((attributes.get("aria-labelledby") or "").split()) for attributes in drawn if "aria-hidden" not in attributes]
    assert len(named) == 4
    assert all(names and names <= ids for names in named)
    assert len(ids) == len([attributes for _, attributes in page.attributes if "id" in attributes])
    assert html.startswith("<!doctype html>\n<html lang=")


def test_a_page_shows_the_gravest_and_says_how_many_more_there_are() -> None:
    found = [finding("waiting_too_long", 10**9, payment_id=f"late_{n}") for n in range(SHOWN)]
    found += [finding("duplicate", n, payment_id=f"twice_{n}") for n in range(200)]
    random.Random(1).shuffle(found)  # noqa: S311 - any order will do
    written = files(reconciliation(customer("bc_1", totals())), found)
    page = Page(written["index.html"])
    table = page.tables[-1][1:]
    assert len(table) == SHOWN
    assert [row[0] for row in table] == ["critical"] * 200 + ["warning"] * 100
    assert "1.99 EUR" in table[0][4]
    assert "And 200 more findings: see findings.csv" in page.text
    assert len(rows(written["findings.csv"])) == 500


def test_what_is_read_stands_out_by_day_by_night_and_on_paper() -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 to 1 for text, 3 to 1 for what is drawn."""
    html = files(reconciliation())["index.html"]
    palettes = [dict(re.findall(r"--([a-z-]+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", html, re.DOTALL)]
    assert len(palettes) == 3
    for palette in palettes:
        for ground in ("paper", "wash"):
            for name in ("ink", "soft", "accent", "good", "critical", "error", "warning-ink"):
                assert contrast(palette[name], palette[ground]) >= 4.5, (name, ground)
        assert contrast(palette["warning"], palette["paper"]) >= 3


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    digit = colour[1:] if len(colour) == 7 else "".join(2 * one for one in colour[1:])
    channels = [int(digit[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_what_is_nobodys_is_shown() -> None:
    found = [finding(business_customer="")]
    page = Page(files(reconciliation(customer("", found=found)), found)["index.html"])
    assert page.tables[0][1][0] == "(not registered)payment without invoice 1; 2 waiting"
    assert page.tables[1][1][2].startswith("(not registered)")


def test_a_finding_says_what_where_since_when_how_much_and_who() -> None:
    one = finding("unpaid_though_settled", 123_456, number="2026-00017", provider="stripe", account="acct_1", detail="paid 0.00")
    (row,) = Page(files(reconciliation(customer("bc_1", totals())), [one])["index.html"]).tables[-1][1:]
    what, where, since, amount, who = row[1:]
    assert what == f"unpaid though settledpaid 0.00{CLASSES[one.code].proposal}"
    assert where == "bc_1document 2026-00017payment pay_1stripe acct_1"
    assert since == "13 Nov 202610 days"
    assert amount == "1,234.56 EUR"
    assert who == "finance, once it approves"


def test_a_finding_about_a_payout_names_the_payout() -> None:
    (row,) = Page(files(reconciliation(), [finding("payout_residual", payment_id="po_1")])["index.html"]).tables[-1][1:]
    assert row[2] == "bc_1payout po_1"


def test_customers_with_a_residual_come_first_then_those_with_most_findings() -> None:
    found = [finding(business_customer="bc_3")] * 2 + [finding(business_customer="bc_2")]
    names = [("bc_1", 0), ("bc_2", 0), ("bc_3", 0), ("bc_4", 5)]
    of = reconciliation(*(customer(name, totals(residual=residual), found=found) for name, residual in names))
    table = Page(files(of, found)["index.html"]).tables[1]
    assert [row[0][:4] for row in table[1:]] == ["bc_4", "bc_3", "bc_2", "bc_1"]
    assert table[1][-1] == "0.05"


def test_every_currency_of_a_customer_has_its_row_and_its_decimals() -> None:
    table = Page(files(reconciliation(customer("bc_1", totals("EUR"), totals("JPY"), totals("KWD"))))["index.html"]).tables[1]
    assert [row[-5:] for row in table[1:]] == [
        ["EUR", "12,345.50", "345.50", "2,163.93", "0.00"],
        ["JPY", "1,234,550", "34,550", "216,393", "0"],
        ["KWD", "1,234.550", "34.550", "216.393", "0.000"],
    ]


@pytest.mark.parametrize(
    ("value", "currency", "shown"),
    [(0, "EUR", "0.00"), (-5, "EUR", "−0.05"), (-123_456_789, "EUR", "−1,234,567.89"), (5, "KWD", "0.005"), (7, "JPY", "7")],  # noqa: RUF001 - the minus of print
)
def test_amounts_as_people_read_them(value: int, currency: str, shown: str) -> None:
    assert digits(value, currency) == shown


def test_a_currency_that_nobody_lists_does_not_stop_a_report() -> None:
    assert digits(1_234, "XAU") == "12.34"


def test_durations() -> None:
    assert [lasting(s).replace("\N{NO-BREAK SPACE}", " ") for s in (9, 734, 7_260)] == ["9 s", "12 min 14 s", "2 h 1 min"]


# ---------------------------------------------------------------- sheets and record


def test_sheets_begin_with_the_mark_that_excel_needs() -> None:
    for name, _, body in report(reconciliation(customer("bc_é", totals())), [finding()]):
        assert body.startswith(b"\xef\xbb\xbf") is name.endswith(".csv")


@pytest.mark.parametrize(
    "cell",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "8815000000000017", "0017", "1e5", "2026-1", "1/2"],  # noqa: RUF001
)
def test_what_a_spreadsheet_would_run_or_change_is_kept_from_it(cell: str) -> None:
    assert text_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "pay_1", "2026-00001", "2026-1-A", "a=1", "123456789012345", "pi_-1"])
def test_what_is_harmless_stays_as_it_is(cell: str) -> None:
    assert text_cell(cell) == cell


def test_the_sheet_of_findings_has_everything() -> None:
    one = finding(provider="adyen", account="Account", document="doc_1", number="2026-1", detail=HOSTILE)
    (row,) = rows(files(reconciliation(), [one])["findings.csv"])
    assert row == {
        "severity": "error",
        "code": one.code,
        "business_customer": "bc_1",
        "provider": "adyen",
        "account": "Account",
        "payment_id": "pay_1",
        "document": "doc_1",
        "number": "'2026-1",
        "amount": "1.00",
        "currency": "EUR",
        "since": "2026-11-13",
        "detail": f"'{HOSTILE}",
        "repair": "automatic",
        "proposal": CLASSES[one.code].proposal,
        "acknowledged": "",
        "acknowledged_by": "",
        "acknowledged_because": "",
    }


def test_the_sheet_of_customers_adds_up() -> None:
    of = reconciliation(customer("bc_1", totals(residual=-1_200), totals("JPY")), customer("bc_2"))
    sheet = rows(files(of)["customers.csv"])
    assert [(row["business_customer"], row["currency"], row["payments"], row["residual"]) for row in sheet] == [
        ("bc_1", "EUR", "1500", "-12.00"),
        ("bc_1", "JPY", "", "0"),
        ("bc_2", "", "1500", ""),
    ]


def test_the_sheet_of_payouts_ties_each_one_out() -> None:
    (row,) = rows(files(reconciliation(), payouts=[payout("po_1", residual=-1_250)])["payouts.csv"])
    explained = sum(float(row[name]) for name in ("payments", "refunds", "disputes", "fees", "other"))
    assert float(row["amount"]) - explained == float(row["residual"]) == -12.5
    assert (row["documents"], row["unexplained"]) == ("doc_1 doc_2", "txn_1")


def test_the_record_holds_the_whole_reconciliation() -> None:
    found = [finding(), finding("duplicate", None, detail="é")]
    of, payouts = reconciliation(customer("bc_1", totals(residual=5), found=found)), [payout("po_1"), payout("po_2")]
    written = json.loads(files(of, found, payouts)["reconciliation.json"])
    assert [own.pop("residual") for one in written["customers"] for own in one["totals"]] == [5]
    lists = {"payouts": [asdict(one) for one in payouts], "found": [asdict(one) for one in found]}
    assert written == json.loads(json.dumps(asdict(of) | lists))


def test_a_record_without_findings_is_json() -> None:
    assert json.loads(files(reconciliation())["reconciliation.json"])["found"] == []


def test_files_say_what_they_are() -> None:
    kinds = {name: kind for name, kind, _ in report(reconciliation())}
    assert kinds == {
        "index.html": "text/html; charset=utf-8",
        "findings.csv": "text/csv; charset=utf-8",
        "customers.csv": "text/csv; charset=utf-8",
        "payouts.csv": "text/csv; charset=utf-8",
        "reconciliation.json": "application/json",
    }


def test_a_report_in_a_folder_replaces_the_one_before(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "report"
    write_report(folder, reconciliation(), [finding()], [])
    page = write_report(folder, reconciliation(), [], [])
    assert page == folder / "index.html"
    assert {one.name: one.read_text(encoding="utf-8") for one in folder.iterdir()} == {
        name: text.replace("\r\n", "\n") for name, text in files(reconciliation()).items()
    }


def test_the_same_reconciliation_makes_the_same_files() -> None:
    found = [finding(payment_id=f"pay_{n}") for n in range(20)]
    of = reconciliation(customer("bc_1", totals(), found=found))
    assert files(of, found)["index.html"] == files(of, reversed(found))["index.html"]


# ---------------------------------------------------------------- charts


def test_bars_reach_as_far_as_their_figures_say() -> None:
    svg = ET.fromstring(bars("c", "A <title>", [Bar("a", (Part("x", 3), Part("y", 1)), "4"), Bar("b", (Part("x", -2),), "−2")]))  # noqa: RUF001, S314 - our own
    first, second, below = [rect.attrib for rect in svg.iter("rect")]
    (axis,) = [line.attrib for line in svg.iter("line")]
    zero = float(axis["x1"])
    unit = float(first["width"]) / 3
    assert float(second["x"]) == pytest.approx(float(first["x"]) + 3 * unit, abs=0.2)
    assert float(second["width"]) == pytest.approx(unit, abs=0.2)
    assert float(below["x"]) == pytest.approx(zero - 2 * unit, abs=0.2)
    assert float(first["x"]) == pytest.approx(zero)
    assert float(second["x"]) + unit < WIDTH
    assert svg.findtext("title") == "A <title>"
    assert svg.findtext("desc") == "a: 4; b: −2"  # noqa: RUF001


def test_what_is_little_is_still_seen() -> None:
    svg = ET.fromstring(bars("c", "t", [Bar("a", (Part("x", 10**9), Part("residual", 1), Part("none", 0)), "")]))  # noqa: S314 - our own
    assert [float(rect.attrib["width"]) > 2 for rect in svg.iter("rect")] == [True, True]


# ---------------------------------------------------------------- what was acknowledged

GIVEN = Acknowledgement(BEGAN - DAY_S, "arn:aws:iam::123456789012:user/finance", HOSTILE)


def acknowledged(code: str = "duplicate", **changes: Any) -> Found:
    return replace(finding(code, **changes), acknowledged=GIVEN)


def test_what_is_acknowledged_stands_apart_with_who_and_why() -> None:
    of = reconciliation(customer("bc_1", totals()))
    written = files(of, [acknowledged(number="2026-1"), finding()])
    page = Page(written["index.html"])
    assert "1 thing to look at; residual 0.00 EUR; 1 finding acknowledged" in page.text
    assert "critical \N{EN DASH}" not in page.text
    *_, open_ones, known = page.tables
    assert (len(open_ones), len(known)) == (2, 2)
    assert known[1] == ["critical", "duplicate", "bc_1document 2026-1payment pay_1", "1.00 EUR", "22 Nov 2026", GIVEN.by, HOSTILE]
    assert "<script>" not in written["index.html"]


def test_where_all_is_acknowledged_it_agrees_and_says_so() -> None:
    of = reconciliation(customer("bc_1", replace(totals(residual=700), acknowledged=700)))
    page = Page(files(of, [acknowledged()], [replace(payout("po_1", residual=9), is_acknowledged=True)])["index.html"])
    assert "nothing to look at; residual 0.00 EUR; 1 finding acknowledged" in page.text
    assert "Whatever does not agree was acknowledged" in page.text
    assert "Nothing is open." in page.text
    assert page.tables[0][1][-2:] == ["7.00", "0.00"]
    assert "Payouts explained 0 of 1" in page.text
    assert "acknowledged: see the findings" in page.text


def test_sheets_and_record_hold_what_is_acknowledged_too() -> None:
    of = reconciliation(customer("bc_1", replace(totals(residual=700), acknowledged=700)))
    written = files(of, [acknowledged(), finding()], [replace(payout("po_1", residual=9), is_acknowledged=True)])
    first, second = rows(written["findings.csv"])
    assert (first["acknowledged"], first["acknowledged_by"]) == ("2026-11-22", GIVEN.by)
    assert first["acknowledged_because"] == f"'{HOSTILE}"
    assert (second["acknowledged"], second["acknowledged_by"], second["acknowledged_because"]) == ("", "", "")
    assert [(one["residual"], one["acknowledged"]) for one in rows(written["customers.csv"])] == [("0.00", "7.00")]
    assert [(one["residual"], one["acknowledged"]) for one in rows(written["payouts.csv"])] == [("0.09", "yes")]
    told = json.loads(written["reconciliation.json"])
    assert [one["acknowledged"] for one in told["found"]] == [asdict(GIVEN), None]


def test_a_tally_of_what_is_acknowledged_does_not_grow_either() -> None:
    counted = tally(*(acknowledged(payment_id=f"pay_{n}") for n in range(5 * SHOWN)))
    assert (counted.acknowledged, counted.total, len(counted.first_acknowledged)) == (5 * SHOWN, 0, SHOWN)
    assert len(counted._first_acknowledged) <= 2 * SHOWN


def test_levels_are_about_what_is_open() -> None:
    of = reconciliation(customer("bc_1", replace(totals(residual=700), acknowledged=700)))
    counted = tally(acknowledged(), acknowledged("payment_without_invoice"))
    counted.add_payout(replace(payout("po_1", residual=9), is_acknowledged=True))
    told = {(one.metric, one.severity): one.value for one in levels(of, counted)}
    assert not [name for name in told if name[0].startswith(("Findings", "Residuals")) and told[name]]


# ---------------------------------------------------------------- counting


def tally(*found: Found) -> Tally:
    counted = Tally(BEGAN)
    for one in found:
        counted.add(one)
    return counted


def test_what_stands_for_too_long_is_overdue() -> None:
    young = [finding("duplicate", since=BEGAN - DAY_S + 1), finding(since=BEGAN - 7 * DAY_S + 1), finding(since=0)]
    old = [finding("duplicate", since=BEGAN - DAY_S), finding(since=BEGAN - 7 * DAY_S)]
    assert tally(*young).overdue == 0
    assert tally(*young, *old).overdue == 2


def test_every_finding_has_its_age() -> None:
    counted = tally(*(finding(since=BEGAN - days * DAY_S) for days in (0, 1, 7, 8, 31, 32, 91, 92, 5_000)), finding(since=0))
    assert [number for _, number in counted.by_age.items()] == [1, 2, 2, 2, 2, 1]
    assert sum(counted.by_age.values()) == counted.total


def test_a_tally_does_not_grow() -> None:
    counted = tally(*(finding(payment_id=f"pay_{n}") for n in range(5 * SHOWN)))
    assert counted.total == 5 * SHOWN
    assert len(counted._first) <= 2 * SHOWN
    assert len(counted.first) == SHOWN


def test_levels_are_told_even_where_they_are_zero() -> None:
    of = reconciliation(customer("bc_1", totals()), customer("bc_2"))
    assert list(levels(of, tally())) == [
        Level("FindingsOpen", 0, "critical"),
        Level("FindingsOpen", 0, "error"),
        Level("FindingsOpen", 0, "warning"),
        Level("FindingsOverdue", 0),
        Level("ResidualsOpen", 0),
        Level("PaymentsReconciled", 3_000),
        Level("DocumentsReconciled", 8),
        Level("FactsWaiting", 4),
        Level("ReconciliationFinished", 1),
    ]


def test_levels_of_what_was_found() -> None:
    of = reconciliation(customer("bc_1", totals(residual=1)), customer("bc_2", totals(residual=-1)))
    counted = tally(finding(), finding("duplicate"))
    for one in (payout("po_1", residual=9), payout("po_2")):
        counted.add_payout(one)
    told = {(one.metric, one.severity): one.value for one in levels(of, counted)}
    assert told["FindingsOpen", Severity.CRITICAL] == told["FindingsOpen", Severity.ERROR] == 1
    assert told["FindingsOverdue", ""] == 2
    assert told["ResidualsOpen", ""] == 3


def test_every_repair_mode_and_severity_has_its_words() -> None:
    found = [replace(finding(), repair=repair, severity=severity) for repair in RepairMode for severity in Severity]
    table = Page(files(reconciliation(), found)["index.html"]).tables[-1]
    assert len(table) == 1 + len(found)
