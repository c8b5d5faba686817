"""Sample deliveries with ids of their own, so that the same files can be sent again as something new."""

from __future__ import annotations

import json
import re
from typing import Any

_PLATFORM_IDS = frozenset(
    f"{name}_id" for name in ("payment", "capture", "refund", "dispute", "invoice", "subscription", "payout", "order")
) | {"id"}
_ADYEN_IDS = frozenset({"pspReference", "originalReference", "capturePspReference"})
_ID = re.compile(r"(evt|pi|ch|py|re|pyr|dp|du|in|sub|po|cs|inpay|txn|pay|act|dsp)_(?=\w*\d)\w+", re.ASCII)
_MOLLIE = r"(?:tr|re|chb|cpt|ord|sub|stl|po|pl|event)_(?=\w*\d)\w+"
_MOLLIE_ID = re.compile(_MOLLIE, re.ASCII)
_MOLLIE_FORM = re.compile(rf"id={_MOLLIE}", re.ASCII)
_GOCARDLESS_ID = re.compile(r"(EV|PM|RF|PO|SB|WB)(?=\w*\d)[0-9A-Z]+", re.ASCII)
_PAYPAL = r"(?=[A-Z-]*\d)(?:WH-[0-9A-Z]{17}-[0-9A-Z]{17}|PAYID-[0-9A-Z]{24}|I-[0-9A-Z]{12}|[0-9A-Z]{17})"
_PAYPAL_ID = re.compile(_PAYPAL, re.ASCII)
_IN_ADDRESS = re.compile(rf"(?<=/)(?:{_MOLLIE}|{_PAYPAL}(?=/|$))", re.ASCII)
_ADDRESSES = ("https://api.mollie.com/", "https://api.sandbox.paypal.com/")
_IDS = (_ID, _MOLLIE_ID, _GOCARDLESS_ID, _PAYPAL_ID)
_ACCOUNT = re.compile(r"acct_.*|pfl_.*|OR(?=\w*\d)[0-9A-Z]+|(AH|BA)[0-9A-Z]{23}", re.ASCII)
_OWNERS = frozenset({"business_customer", "merchantAccountCode"})


def with_fresh_ids(body: bytes, suffix: str, *, customers: bool = False) -> bytes:
    """The body with `suffix` on every id of an event, a payment, and whatever happened to it.

    The same id gets the same new name in every body, so a refund still finds its payment. Whose money it is changes only with
    `customers`: then business customers and their accounts are new ones too. Raises `ValueError` for what is neither JSON nor a
    form that names something.
    """
    if _MOLLIE_FORM.fullmatch(body.decode().strip()):
        return body.strip() + f"_{suffix}".encode()
    return json.dumps(_renamed(json.loads(body), "", suffix, customers), ensure_ascii=False, indent=2).encode()


def _renamed(value: Any, name: str, suffix: str, customers: bool) -> Any:  # noqa: ANN401, FBT001 - any JSON value
    match value:
        case dict():
            return {key: _renamed(inner, key, suffix, customers) for key, inner in value.items()}
        case list():
            return [_renamed(inner, name, suffix, customers) for inner in value]
        case str() if name in _OWNERS or _ACCOUNT.fullmatch(value):
            return f"{value}_{suffix}" if customers else value
        case str() if name in _PLATFORM_IDS | _ADYEN_IDS or any(kind.fullmatch(value) for kind in _IDS):
            return f"{value}_{suffix}"
        case str() if value.startswith(_ADDRESSES):
            return _IN_ADDRESS.sub(rf"\g<0>_{suffix}", value)
        case _:
            return value
