"""Entries of the journal: how they are written, chained, keyed and read. `tools/verify_evidence.py` states the same once more.

Every digest is over canonical JSON, so that it can be computed again from what an auditor is given. The digest of an entry
covers that of its predecessor. Its content enters by a digest; personal data by a salted one, of which nothing is left to guess
from once the salt is gone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from quittance.errors import Retry

if TYPE_CHECKING:
    from collections.abc import Mapping

GENESIS = "0" * 64
"""What the first entry of a chain has in place of its predecessor's digest."""
Header: TypeAlias = dict[str, Any]
"""The part of an entry that is chained: see `sealed`."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key under which entries and anchors are made."""

    id: str
    secret: bytes


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys, oldest first. The last one is in use; the others verify what was written before."""

    keys: tuple[Key, ...]

    @property
    def current(self) -> Key:
        return self.keys[-1]

    def find(self, key_id: str) -> Key | None:
        return next((key for key in self.keys if key.id == key_id), None)


def key_ring(text: str) -> KeyRing:
    """The keys out of lines of `id hexadecimal-digits`. Raises `Retry("evidence_key_unusable")` until somebody mends them."""
    try:
        keys = tuple(Key(name, bytes.fromhex(digits)) for name, digits in map(str.split, text.strip().splitlines()))
    except ValueError:
        keys = ()
    if not keys:
        # The text is a secret, so neither it nor what parsing said of it is passed on.
        raise Retry("evidence_key_unusable")
    return KeyRing(keys)


def canonical(value: object) -> str:
    """The one way in which a value is written as JSON: keys sorted, no spaces, no escapes that need not be."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def salted_digest(salt: str, text: str) -> str:
    """A commitment to a text. `salt` is 32 random bytes in hexadecimal digits."""
    return hmac.new(bytes.fromhex(salt), text.encode(), hashlib.sha256).hexdigest()


def sealed(fields: Mapping[str, Any], key: Key) -> Header:
    """Fields with the id of a key and the digest that only its holder can make."""
    signed = {**fields, "key_id": key.id}
    return {**signed, "mac": _mac(signed, key)}


def is_sealed(header: Header, keys: KeyRing) -> bool:
    """Whether a header, or an anchor, is as the holder of the key it names made it."""
    key = keys.find(str(header.get("key_id")))
    signed = {name: value for name, value in header.items() if name != "mac"}
    return key is not None and hmac.compare_digest(_mac(signed, key), str(header.get("mac")))


def _mac(signed: Mapping[str, Any], key: Key) -> str:
    return hmac.new(key.secret, canonical(signed).encode(), hashlib.sha256).hexdigest()
