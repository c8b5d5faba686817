"""What the invoicing API holds, as far as it is compared: no buyer, no lines, nothing personal."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from quittance.documents import DocumentKind
from quittance.money import DOCUMENT_DECIMALS, EXPONENTS, Money

if TYPE_CHECKING:
    from collections.abc import Mapping

DECIMALS = 4
"""Of the amounts of a `HeldDocument`: enough for every currency and for whatever somebody may have typed."""
PRINTED = (DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE)
"""The kinds of document that an entity's books consist of."""
_WHOLE = int(10**DECIMALS)
_FACTORS = {currency: int(10 ** (DECIMALS - exponent)) for currency, exponent in EXPONENTS.items()}
_FACTOR_OF_OTHERS = int(10 ** (DECIMALS - DOCUMENT_DECIMALS))


class HeldDocument(NamedTuple):
    """One invoice or credit note of an entity. Amounts are whole ten-thousandths of the currency's major unit."""

    id: str
    entity: str
    kind: str
    number: str
    currency: str
    total: int
    """With tax."""
    net: int | None
    """Without; None where the API does not tell."""
    paid: int
    is_draft: bool
    is_voided: bool
    is_deleted: bool
    created_at: int
    """Seconds since 1970, by the API's clock; 0 where it does not tell."""
    customer: str
    """This and what follows, to `key`, is its own metadata, empty for a document made by hand."""
    provider: str
    payment_id: str
    key: str
    corrects: str
    """Id of the document it credits or corrects."""

    @property
    def is_counted(self) -> bool:
        """Whether it is part of the entity's turnover."""
        return not (self.is_draft or self.is_voided or self.is_deleted)


def held_document(kind: DocumentKind, entity: str, shown: Mapping[str, Any]) -> HeldDocument:
    """The part of a document that is compared, as the API shows it. Raises `KeyError` for what is no document."""
    metadata = shown.get("metadata") or {}
    net = shown.get("total")
    return HeldDocument(
        id=str(shown["id"]),
        entity=entity,
        kind=str(kind),
        number=str(shown.get("number") or ""),
        currency=str(shown["currency_code"]),
        total=_whole(shown["total_with_tax"]),
        net=None if net is None else _whole(net),
        paid=_whole(shown.get("total_paid") or 0),
        is_draft=bool(shown.get("is_draft")),
        is_voided=bool(shown.get("voided_at")),
        is_deleted=bool(shown.get("deleted_at")),
        created_at=_seconds(shown.get("created_at")),
        customer=_text(metadata, "business_customer"),
        provider=_text(metadata, "provider"),
        payment_id=_text(metadata, "payment_id"),
        key=_text(metadata, "document_key"),
        corrects=_text(metadata, "corrects") or _credited(shown),
    )


def whole(money: Money) -> int:
    """Money as a `HeldDocument` has it."""
    return money.value * _FACTORS[money.currency]


def money_of(amount: int, currency: str) -> Money:
    """An amount of a `HeldDocument` as money, of a currency that ISO 4217 lists."""
    return Money(minor_units(amount, currency), currency)


def minor_units(amount: int, currency: str) -> int:
    """An amount of a `HeldDocument` in minor units, towards zero where the currency is not divisible so far.

    A currency that ISO 4217 does not list, as a document made by hand may have, is taken to have two decimals.
    """
    factor = _FACTORS.get(currency, _FACTOR_OF_OTHERS)
    return amount // factor if amount >= 0 else -(-amount // factor)


def signed_total(document: HeldDocument) -> int:
    """What a document counts for, in minor units: a credit note below zero."""
    sign = -1 if document.kind == DocumentKind.CREDIT_NOTE else 1
    return sign * minor_units(document.total, document.currency)


def major(value: int, currency: str) -> Decimal:
    """Minor units in major ones, of whatever currency."""
    return Decimal(value).scaleb(-EXPONENTS.get(currency, DOCUMENT_DECIMALS))


def _whole(number: Decimal | float | str) -> int:
    return number * _WHOLE if isinstance(number, int) else int(Decimal(number).scaleb(DECIMALS).to_integral_value())


def _seconds(instant: object) -> int:
    try:
        return int(datetime.fromisoformat(str(instant)).timestamp())
    except ValueError:
        return 0


def _credited(shown: Mapping[str, Any]) -> str:
    """Id of the invoice that a credit note made by hand is linked to."""
    relations = shown.get("document_relations") or ()
    return next((str(one.get("target_id")) for one in relations if one.get("relation_type") == "credit_for"), "")


def _text(metadata: Mapping[str, Any], name: str) -> str:
    return str(metadata.get(name) or "")
