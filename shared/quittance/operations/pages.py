"""Long answers a page at a time. Where one ended is an opaque text, which stays good whatever is added or removed meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING

from quittance.errors import Reject
from quittance.storage import Keys, Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from quittance.storage import Item, PagedTable

EXAMINED_MAX = 1000
"""How many items one page looks through for those that are wanted."""


def opaque(keys: Keys | None) -> str | None:
    """The keys as text that is safe in an address."""
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=") if keys else None


def keys_of(text: str) -> Keys:
    """The inverse of `opaque`. Raises `Reject` with `id_unreadable` for anything else."""
    try:
        pk, sk = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        if pk and sk and isinstance(pk, str) and isinstance(sk, str):
            return Keys(pk, sk)
    except (binascii.Error, TypeError, ValueError, RecursionError):
        pass
    raise Reject("id_unreadable")


def chosen(table: PagedTable, reference: str, after: Keys | None, limit: int, is_wanted: Callable[[Item], bool]) -> Page:
    """Up to `limit` of the wanted items. There may be fewer, and more to come, where few are wanted."""
    found: list[Item] = []
    for start in range(0, EXAMINED_MAX, limit):
        page = table.page(reference, after, min(limit, EXAMINED_MAX - start))
        for item in page.items:
            after = Keys(item["pk"], item["sk"])
            if is_wanted(item):
                found.append(item)
            if len(found) == limit:
                return Page(found, after)
        if page.last is None:
            return Page(found, None)
        after = page.last
    return Page(found, after)
