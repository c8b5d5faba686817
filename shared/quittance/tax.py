"""Tax: which one a sale carries, and how amounts divide into net and tax.

Both are pure. What only the registry of tax numbers knows arrives as evidence. Amounts with tax are authoritative: the net
amount of a line is its gross amount divided by the rate, rounded half-up to the two decimals of a document, line by line.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Literal, TypeVar

from quittance.countries import EU_COUNTRIES
from quittance.documents import Document, Line, Tax
from quittance.money import DOCUMENT_DECIMALS, EXPONENTS, Money
from quittance.policy import STANDARD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quittance.customers import BusinessCustomer
    from quittance.documents import TaxEvidence
    from quittance.facts import Payer
    from quittance.policy import Rates, TaxPolicy

Key = TypeVar("Key")

# --- which tax -----------------------------------------------------------------------------------------------------------

Subject = Literal["domestic", "eu_business", "eu_consumer", "eu_unconfirmed", "outside_eu", "untaxed"]
"""What a sale is for the purpose of tax: where the buyer is and, inside the EU, what the buyer is."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """How one sale is taxed: the rate of each tax class, `None` for no tax at all."""

    transaction_type: str
    """The invoicing API's name for it."""
    rates: Rates | None
    country: str = ""
    """The country whose rates they are, when it is not the seller's."""
    clause: str = ""


class NoRateError(Exception):
    """The policy has no rate for this sale; the message says which one is missing."""


def is_cross_border_in_eu(seller: BusinessCustomer, payer: Payer | None) -> bool:
    """Whether buyer and seller are in two countries of the EU."""
    return bool(
        payer
        and payer.country
        and payer.country != seller.profile.get("country")
        and {payer.country, seller.profile.get("country")} <= EU_COUNTRIES
    )


def depends_on_registry(seller: BusinessCustomer, payer: Payer | None) -> bool:
    """Whether the tax of a sale depends on the buyer's tax number being valid."""
    return is_cross_border_in_eu(seller, payer) and bool(payer and payer.tax_number) and is_tax_subject(seller)


def is_tax_subject(seller: BusinessCustomer) -> bool:
    return seller.profile.get("is_tax_subject") is not False


def treatment(seller: BusinessCustomer, policy: TaxPolicy | None, payer: Payer | None, evidence: TaxEvidence | None) -> Treatment:
    """How a sale of `seller` to `payer` is taxed. `evidence` must be there when `depends_on_registry` says so.

    Raises `NoRateError` when the buyer's country has no rate in the policy.
    """
    if policy is None:
        return Treatment("", None)
    match _subject(seller, policy, payer, evidence):
        case "untaxed":
            return Treatment(_abroad(seller, payer, "b2c"), None)
        case "domestic" | "eu_unconfirmed" as subject:
            return Treatment("domestic" if subject == "domestic" else "", policy.domestic)
        case "eu_business":
            is_reversed = policy.eu_business == "reverse_charge"
            clause = policy.reverse_charge_clause if is_reversed else ""
            # The API calls a buyer that nobody could confirm a consumer, so it is not held to a name for that sale.
            kind = "intra_eu_b2b" if evidence and evidence.is_valid else ""
            return Treatment(kind, None if is_reversed else policy.domestic, clause=clause)
        case "eu_consumer":
            return _to_eu_consumer(policy, payer)
        case "outside_eu":
            kind = _abroad(seller, payer, "b2b" if payer and payer.tax_number else "b2c")
            return Treatment(kind, policy.domestic if policy.outside_eu == "domestic" else None)


def _to_eu_consumer(policy: TaxPolicy, payer: Payer | None) -> Treatment:
    if payer is None or policy.eu_consumer == "domestic":
        return Treatment("intra_eu_b2c", policy.domestic)
    if payer.country not in policy.destination:
        raise NoRateError(f"rates of {payer.country}")
    return Treatment("intra_eu_b2c", policy.destination[payer.country], payer.country)


def _subject(seller: BusinessCustomer, policy: TaxPolicy, payer: Payer | None, evidence: TaxEvidence | None) -> Subject:
    if not is_tax_subject(seller):
        return "untaxed"
    if payer is None or not payer.country or payer.country == seller.profile.get("country"):
        return "domestic"
    if not is_cross_border_in_eu(seller, payer):
        return "outside_eu"
    if not payer.tax_number or evidence is None or evidence.is_valid is False:
        return "eu_consumer"
    if evidence.is_valid is None and policy.registry_down == "domestic":
        return "eu_unconfirmed"
    return "eu_business"


def _abroad(seller: BusinessCustomer, payer: Payer | None, suffix: str) -> str:
    """The API's name for a sale by a seller who is not subject to tax, or to a buyer outside the EU."""
    if payer is None or not payer.country or payer.country == seller.profile.get("country"):
        return "domestic"
    return f"{'intra_eu' if is_cross_border_in_eu(seller, payer) else '3w'}_{suffix}"


def tax_of(treated: Treatment, tax_class: str, seller: BusinessCustomer) -> Tax | None:
    """The tax of a line of this class. Raises `NoRateError` if the policy, or the entity of the seller, does not have it."""
    if treated.rates is None:
        return None
    rate = treated.rates.get(tax_class or STANDARD)
    if rate is None:
        raise NoRateError(f"rate of tax class {tax_class}")
    name = rate.name(treated.country)
    known = seller.taxes.get(name)
    if known is None:
        raise NoRateError(f"{name} in the entity")
    return Tax(percent=known.percent, tax_id=known.tax_id)


# --- how much ------------------------------------------------------------------------------------------------------------

_MAX_SPLIT = 5000
"""How many ways to split a line in two are tried; for a rate of 0.1 % a few hundred are enough."""
_MAX_PARTS = 4
"""How many parts may be split off a line that two parts are not enough for."""
_MAX_SMALL_PART = 200
"""Below how many of the smallest amounts such a part is looked for."""


@dataclass(frozen=True, slots=True)
class TaxTotal:
    """What a document holds at one tax: net, tax and gross in hundredths of the currency's major unit."""

    net: int
    gross: int

    @property
    def tax(self) -> int:
        return self.gross - self.net


def totals_by_tax(document: Document) -> dict[Tax | None, TaxTotal]:
    """Net and gross of a document for each of its taxes, line by line as the invoicing API computes them."""
    totals: dict[Tax | None, TaxTotal] = {}
    for line in document.lines:
        one = line_total(line, document.amount.currency, prices_exclude_tax=document.prices_exclude_tax)
        before = totals.get(line.tax, TaxTotal(0, 0))
        totals[line.tax] = TaxTotal(before.net + one.net, before.gross + one.gross)
    return totals


def line_total(line: Line, currency: str, *, prices_exclude_tax: bool) -> TaxTotal:
    amount = _hundredths(line.amount, currency)
    if prices_exclude_tax:
        return TaxTotal(amount, amount + _rounded(amount * _percent(line.tax) / 100))
    return TaxTotal(net_of(amount, line.tax), amount)


def gross_total(lines: tuple[Line, ...], currency: str, *, prices_exclude_tax: bool) -> int | None:
    """The total of the lines with tax in minor units; None when the currency's minor unit cannot express that of each tax."""
    totals: dict[Tax | None, int] = {}
    for line in lines:
        gross = line_total(line, currency, prices_exclude_tax=prices_exclude_tax).gross
        totals[line.tax] = totals.get(line.tax, 0) + gross
    if not all(_is_expressible(total, currency) for total in totals.values()):
        return None
    return sum(_minor_units(total, currency) for total in totals.values())


def net_of(gross: int, tax: Tax | None) -> int:
    """The net part of an amount with tax, both in the same unit, rounded half-up."""
    return _rounded(gross * 100 / (100 + _percent(tax)))


def _percent(tax: Tax | None) -> Decimal:
    return Decimal(tax.percent) if tax else Decimal(0)


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def _hundredths(amount: int, currency: str) -> int:
    return int(Decimal(amount).scaleb(DOCUMENT_DECIMALS - EXPONENTS[currency]))


# --- how an invoice is credited ------------------------------------------------------------------------------------------


def credit_lines(name: str, invoice: Document, earlier: list[Document], amount: Money) -> tuple[Line, ...]:
    """The lines of a credit note for `amount` of an invoice, after the `earlier` credit notes.

    Guarantees: their amounts come to `amount`; each tax is credited in proportion to what the invoice still holds of it, and
    the last credit note takes the remainder; and once an invoice is credited in full, the net and tax of its credit notes
    come to its own, tax by tax, to the cent. Only where the last credit note holds no more than a few cents at a tax can its
    rounding be out of reach: one cent has no net amount but one cent.
    """
    taxes = list(dict.fromkeys(line.tax for line in invoice.lines))
    if taxes == [None]:
        return (Line(name=name, quantity=1, amount=amount.value),)
    currency = amount.currency
    held = {tax: _minor_units(total.gross, currency) for tax, total in totals_by_tax(invoice).items()}
    before = [line for note in earlier for line in note.lines]
    credited = {tax: sum(line.amount for line in before if line.tax == tax) for tax in taxes}
    shares = shared_out_amount(amount, {tax: held[tax] - credited[tax] for tax in taxes})
    lines: list[Line] = []
    for tax, share in shares.items():
        parts = _net_true_parts(
            _stretches(invoice, tax), share, [line.amount for line in before if line.tax == tax], tax, currency
        )
        lines += [Line(name=name, quantity=1, amount=part, tax=tax) for part in parts]
    return tuple(lines)


def shared_out_amount(amount: Money, available: dict[Key, int]) -> dict[Key, int]:
    """`shared_out` of an amount of money whose shares a document can carry too: whole minor units, and two decimals at most."""
    step = _step(amount.currency)
    shares = shared_out(amount.value // step, {key: one // step for key, one in available.items()})
    return {key: share * step for key, share in shares.items()}


def shared_out(amount: int, available: dict[Key, int]) -> dict[Key, int]:
    """`amount` in proportion to what is available; what rounding leaves goes where most was cut off.

    No share is more than what is available, unless the amount is more than all of that.
    """
    total = sum(available.values())
    shares = {key: amount * one // total for key, one in available.items()}
    rest = amount - sum(shares.values())
    for key in sorted(available, key=lambda key: -(amount * available[key] % total))[:rest]:
        shares[key] += 1
    return {key: share for key, share in shares.items() if share}


Stretch = tuple[int, int]
"""Gross amount in minor units and net amount in hundredths of a line, or of all lines at one tax."""


def _stretches(invoice: Document, tax: Tax | None) -> list[Stretch]:
    """What an invoice holds at one tax, line by line as it was rounded; as one where a line is no whole number of minor units."""
    currency = invoice.amount.currency
    lines = [line for line in invoice.lines if line.tax == tax]
    totals = [line_total(line, currency, prices_exclude_tax=invoice.prices_exclude_tax) for line in lines]
    if not all(_is_expressible(total.gross, currency) for total in totals):
        totals = [TaxTotal(sum(total.net for total in totals), sum(total.gross for total in totals))]
    return [(_minor_units(total.gross, currency), total.net) for total in totals]


def _net_true_parts(stretches: list[Stretch], amount: int, earlier: list[int], tax: Tax | None, currency: str) -> Iterator[int]:
    """The next `amount` of the stretches in parts whose rounded net amounts, with the earlier parts', add up as theirs do."""
    start = sum(earlier)
    net = sum(_net_of_minor_units(part, tax, currency) for part in earlier)
    position = 0
    for length, _ in stretches:
        begin, end = max(start, position), min(start + amount, position + length)
        if begin < end:
            for part in _parts(end - begin, _net_up_to(end, stretches, tax, currency) - net, tax, currency):
                net += _net_of_minor_units(part, tax, currency)
                yield part
        position += length


def _net_up_to(end: int, stretches: list[Stretch], tax: Tax | None, currency: str) -> int:
    """The net amount of the first `end` minor units; of a stretch that is cut, what its rest leaves."""
    total = position = 0
    for length, net in stretches:
        rest = max(0, position + length - max(end, position))
        total += net - _net_of_minor_units(rest, tax, currency) if rest < length else 0
        position += length
    return total


def _parts(amount: int, wanted: int, tax: Tax | None, currency: str) -> tuple[int, ...]:
    """`amount` in as few parts as round to the wanted net amount together; as it is, when a handful of parts cannot."""
    split_off: list[int] = []
    rest, net = amount, wanted
    while rest and len(split_off) < _MAX_PARTS:
        if parts := _halves(rest, net, tax, currency):
            return (*parts, *split_off)
        part = _most_rounded(rest, net, tax, currency)
        if part is None:
            break
        split_off.append(part)
        rest, net = rest - part, net - _net_of_minor_units(part, tax, currency)
    return (amount,)


def _halves(amount: int, wanted: int, tax: Tax | None, currency: str) -> tuple[int, ...]:
    """`amount` as one part, or as two, whose rounded net amounts are the wanted one; empty if there are none."""
    if _net_of_minor_units(amount, tax, currency) == wanted:
        return (amount,)
    step = _step(currency)
    for part in range(step, min(amount, _MAX_SPLIT * step), step):
        if _net_of_minor_units(part, tax, currency) + _net_of_minor_units(amount - part, tax, currency) == wanted:
            return amount - part, part
    return ()


def _most_rounded(amount: int, wanted: int, tax: Tax | None, currency: str) -> int | None:
    """The small part that rounding moves furthest towards the wanted net amount; None if there is none."""
    step = _step(currency)
    way = 1 if wanted > _net_of_minor_units(amount, tax, currency) else -1

    def moved(part: int) -> Decimal:
        exact = _hundredths(part, currency) * 100 / (100 + _percent(tax))
        return way * (_net_of_minor_units(part, tax, currency) - exact)

    part = max(range(step, min(amount, _MAX_SMALL_PART * step), step), key=moved, default=None)
    return part if part is not None and moved(part) > 0 else None


def _net_of_minor_units(amount: int, tax: Tax | None, currency: str) -> int:
    return net_of(_hundredths(amount, currency), tax)


def _step(currency: str) -> int:
    """Minor units of the smallest amount that a document carries."""
    return int(10 ** max(0, EXPONENTS[currency] - DOCUMENT_DECIMALS))


def _minor_units(hundredths: int, currency: str) -> int:
    return int(Decimal(hundredths).scaleb(EXPONENTS[currency] - DOCUMENT_DECIMALS))


def _is_expressible(hundredths: int, currency: str) -> bool:
    """Whether it is a whole number of minor units."""
    amount = Decimal(hundredths).scaleb(EXPONENTS[currency] - DOCUMENT_DECIMALS)
    return amount == int(amount)
