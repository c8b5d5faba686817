"""Sample deliveries with ids of their own, so that the same files can be sent again as something new."""

from __future__ import annotations

import json
import re
from typing import Any

_PLATFORM_IDS = frozenset(
    f"{name}_id" for name in ("payment", "capture", "refund", "dispute", "invoice", "subscription", "payout", "order")
) | {"id"}
_STRIPE_ID = re.compile(r"(evt|pi|ch|py|re|pyr|dp|du|in|sub|po|cs|inpay|txn)_(?=\w*\d)\w+", re.ASCII)
_ACCOUNT_PREFIX = "acct_"


def with_fresh_ids(body: bytes, suffix: str, *, customers: bool = False) -> bytes:
    """The body with `suffix` on every id of an event, a payment, and whatever happened to it.

    The same id gets the same new name in every body, so a refund still finds its payment. Whose money it is changes only with
    `customers`: then business customers and their accounts are new ones too. Raises `ValueError` for what is not JSON.
    """
    return json.dumps(_renamed(json.loads(body), "", suffix, customers), ensure_ascii=False, indent=2).encode()


def _renamed(value: Any, name: str, suffix: str, customers: bool) -> Any:  # noqa: ANN401, FBT001 - any JSON value
    match value:
        case dict():
            return {key: _renamed(inner, key, suffix, customers) for key, inner in value.items()}
        case list():
            return [_renamed(inner, name, suffix, customers) for inner in value]
        case str() if name == "business_customer" or value.startswith(_ACCOUNT_PREFIX):
            return f"{value}_{suffix}" if customers else value
        case str() if name in _PLATFORM_IDS or _STRIPE_ID.fullmatch(value):
            return f"{value}_{suffix}"
        case _:
            return value
