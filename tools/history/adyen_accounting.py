"""Adyen's payment accounting report: one row for each change of a payment's status, read as the notification of that change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.history import HistoryError
from tools.history.adyen_rows import captured_by_hand, instant, minor_units
from tools.history.deliveries import delivered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.history import Reported, Row, Settings

NAME = "adyen-accounting"
_COLUMNS = frozenset(
    {"Merchant Account", "Psp Reference", "Booking Date", "TimeZone", "Main Currency", "Main Amount", "Record Type"}
)
_MODIFICATION = "Modification Psp Reference"

_OF_PAYMENT = {"Authorised": "true", "Refused": "false", "Error": "false"}
"""Record types that an AUTHORISATION would have reported, and its `success`."""
_CAPTURED = "SentForSettle"
_OF_MODIFICATION = {
    _CAPTURED: "CAPTURE",
    "CaptureFailed": "CAPTURE_FAILED",
    "SentForRefund": "REFUND",
    "Refunded": "REFUND",
    "RefundFailed": "REFUND_FAILED",
    "RefundedReversed": "REFUNDED_REVERSED",
    "Chargeback": "CHARGEBACK",
    "ChargebackReversed": "CHARGEBACK_REVERSED",
    "SecondChargeback": "SECOND_CHARGEBACK",
}
"""Record types about something done to a payment, which has a reference of its own."""
_NOTHING_NEW = frozenset(
    {
        "Received",
        "AuthorisedPending",
        "SettleScheduled",
        "RefundScheduled",
        "SettledInInstallments",
        "Settled",
        "SettledBulk",
        "SettledInstallment",
        "Cancelled",
        "Expired",
        "NotificationOfChargeback",
        "NotificationOfFraud",
        "RequestForInformation",
        "InformationSupplied",
    }
)


def recognises(header: Sequence[str]) -> bool:
    return set(header) >= _COLUMNS


def facts(rows: Iterable[Row], account: str | None, settings: Settings) -> Iterator[Reported | HistoryError]:
    """With immediate capture, which no notification reports, only what is captured by hand is a capture of its own."""
    for line, row in rows:
        try:
            item = _item(row, settings)
        except ValueError as error:
            yield HistoryError(line, str(error))
            continue
        if item:
            body = {"notificationItems": [{"NotificationRequestItem": item}]}
            yield from delivered("adyen", line, body, account, settings)


def _item(row: Mapping[str, str], settings: Settings) -> dict[str, Any] | None:
    """The item of the notification that a row stands for; None if there was none. Raises `ValueError`."""
    kind = row["Record Type"]
    common = {
        "merchantAccountCode": row["Merchant Account"],
        "merchantReference": row.get("Merchant Reference"),
        "paymentMethod": row.get("Payment Method"),
    }
    if kind in _OF_PAYMENT:
        own = {"eventCode": "AUTHORISATION", "success": _OF_PAYMENT[kind], "pspReference": row["Psp Reference"]}
    elif kind == _CAPTURED and not captured_by_hand(settings, row["Merchant Account"]):
        return None
    elif kind in _OF_MODIFICATION:
        own = {"eventCode": _OF_MODIFICATION[kind], "success": "true", "originalReference": row["Psp Reference"]}
        own |= {"pspReference": _modification(row)}
    elif kind in _NOTHING_NEW:
        return None
    else:
        raise ValueError("the record type is not known")
    return common | own | {"eventDate": instant(row, "Booking Date", "TimeZone"), "amount": _amount(row)}


def _amount(row: Mapping[str, str]) -> dict[str, Any]:
    """What was paid out is negative in the report and positive in a notification."""
    return minor_units(row["Main Amount"].removeprefix("-"), row["Main Currency"])


def _modification(row: Mapping[str, str]) -> str:
    if not (reference := row.get(_MODIFICATION)):
        raise ValueError(f"{_MODIFICATION} is missing: add this column to the report")
    return reference
