"""Payloads made wrong: in their structure, in single values, and in the bytes of their text."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from quittance.money import EXPONENTS
from tests.fuzz.corpus import MARKER, corpus, pools

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

Slot: TypeAlias = "tuple[Any, Any]"
"""A container of the document, and the key or place in it."""

_LITERAL = "@json:{}@"
_REPEATED = "@again@"
MUTATIONS_MAX = 5


class Draft:
    """A JSON document under change. It can hold what Python's JSON cannot: literals of any text, and a name twice."""

    def __init__(self, body: bytes) -> None:
        """Raises `ValueError` if `body` is not JSON."""
        self.root: list[Any] = [json.loads(body)]
        self.literals: list[str] = []

    def literal(self, text: str) -> str:
        """What to put into the document so that `text` itself stands there."""
        self.literals.append(text)
        return _LITERAL.format(len(self.literals) - 1)

    def slots(self) -> list[Slot]:
        """Every place that holds a value, the document's own included."""
        found: list[Slot] = [(self.root, 0)]
        for container, key in found:
            inner = container[key]
            if isinstance(inner, dict):
                found += [(inner, name) for name in inner]
            elif isinstance(inner, list):
                found += [(inner, place) for place in range(len(inner))]
        return found

    def encoded(self, rng: Random) -> bytes:
        """The document as text, in one of the ways to write JSON."""
        style: dict[str, Any] = rng.choice(({}, {}, {"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}))
        text = json.dumps(self.root[0], **style).replace(_REPEATED, "")
        for place, literal in reversed(list(enumerate(self.literals))):
            text = text.replace(f'"{_LITERAL.format(place)}"', literal)
        return text.encode("utf-8", "surrogatepass")


def mutated(rng: Random, body: bytes, aim: str = "") -> bytes:
    """`body` with one to a handful of changes, the first of them to the value of a property called `aim` if there is one.

    The same state of `rng` gives the same result.
    """
    if rng.random() < _TEXTUAL_SHARE:
        return rng.choice(_TEXTUAL)(rng, body)
    try:
        draft = Draft(body)
    except ValueError:
        return rng.choice(_TEXTUAL)(rng, body)
    if aim:
        _replace_one(rng, draft, aim)
        if rng.random() < _ALONE_SHARE:
            return draft.encoded(rng)
    for _ in range(1 + min(int(rng.expovariate(0.8)), MUTATIONS_MAX - 1)):
        rng.choice(_STRUCTURAL)(rng, draft)
    encoded = draft.encoded(rng)
    return rng.choice(_TEXTUAL)(rng, encoded) if rng.random() < _BOTH_SHARE else encoded


_TEXTUAL_SHARE = 0.08
_BOTH_SHARE = 0.02
_ALONE_SHARE = 0.7

# --- values --------------------------------------------------------------------------------------------------------------

_NUMBERS = (
    *(0, -1, 1, 2, 99, -(10**18), 10**12, 10**15 - 1, 10**15, 10**15 + 1, 2**31, 2**53 + 1, 2**63, 2**64, 10**40, -(10**40)),
    *(0.0, -0.0, 1.0, 1.5, 12345.0, 0.1 + 0.2, 1e15, 1e22, 5e-324, 1.7976931348623157e308),
)
_LITERALS = (
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        "-0",
        "1E3",
        "1e-400",
        "00",
        "0x10",
        "+1",
        ".5",
        "1.",
        "1_000",
        "undefined",
    ),
    *("9" * 400, "9" * 4300, "9" * 5000, "'single'", '"\t"', '"\\x"', '"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', "{", "]", ""),
)
_TEXTS = (
    *("", " ", "  blank  ", "0", "12", "-5", "12.50", "1e3", "null", "true", "id\x00", "\x00", "\x7f", "line\nbreak", "\ud800"),
    *("\u202eevil", "עברית", "😀" * 5, "👩‍👩‍👧‍👦", "e\u0301", "\ufeffx", "\uffff", "İ", "ß", "ﬁ", "\uff11\uff12", "\u0662\u0660"),
    *("../../etc/passwd", "%2e%2e", "a#b", "#", "|", ":", "a|b", "CASE#x#y", "__proto__", "${jndi:ldap://x}", "' OR 1=1 --"),
    *("a/" * 300, "a/" * 30, "a" * 250, "a" * 251, "é" * 250, "😀" * 250, "#" * 250, "%" * 250, "x" * 2000, "x" * 2001),
)
_LONG = 70_000
_LONG_SHARE = 0.1
_INSTANTS = (
    *(
        "0000-00-00T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00Z",
    ),
    *(
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59-14:00",
        "9999-12-25T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
    ),
    *(
        "2024-02-29T23:59:60Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T10:00:00",
        "2026-11-20 10:00:00Z",
        "2026-11-20T10:00:00.123456789Z",
    ),
    *(
        "2026-11-20t10:00:00z",
        "2026-11-20T10:00:00+25:00",
        "2026-11-20T10:00:00-23:59",
        "20261120T100000Z",
        "2026-W47-5",
        "2026-11-20",
    ),
    *(
        "0001-01-01",
        "9999-12-31",
        "9999-12-31T00:00:00Z",
        "2026-13-01",
        "\u0662\u0660\u0662\u0666-11-20",
        "now",
        "1795168805",
        "-2026-11-20T10:00:00Z",
    ),
)
_EPOCHS = (
    *(0, -1, 1, 10**9, 1795168805, 1795168805000, 2**31 - 1, 2**31, 2**32, 10**11, 10**18, -(10**18), 253402300799, 253402300800),
    *(253402214400, 1795168805.5, "1795168805", True),
)
_CURRENCIES = (*EXPONENTS, *(code.lower() for code in EXPONENTS), "XXX", "XAU", "BTC", "EURO", "E", "", "€", "eu r", "mga", "isk")


_PLAIN = (None, True, False)
_SHAPES: tuple[Any, ...] = ([], {}, [[]], [None], [1, "a", {}], {"": ""}, {"a": {"b": []}}, {"value": 1}, {"id": "x_1"})


def _odd_value(rng: Random, draft: Draft) -> Any:
    chosen = rng.choice((_PLAIN, _NUMBERS, _NUMBERS, _LITERALS, _TEXTS, _TEXTS, _SHAPES, pools().ids, None))
    if chosen is _LITERALS:
        return draft.literal(rng.choice(_LITERALS))
    if chosen is None:
        return rng.choice("a\u00e9") * rng.randrange(_LONG) if rng.random() < _LONG_SHARE else _deep(rng, draft)
    value = rng.choice(chosen)
    return json.loads(json.dumps(value)) if chosen is _SHAPES else value


def _deep(rng: Random, draft: Draft) -> str:
    depth = rng.choice((10, 100, 300, 450, 700, 900, 1500, 3000, 20_000))
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}"), ('{"id":"x","data":', "}")))
    return draft.literal(opening * depth + rng.choice(("1", "{}", "1.5", "null")) + closing * depth)


# --- structure -----------------------------------------------------------------------------------------------------------


def _leaf(rng: Random, draft: Draft, wanted: Callable[[str, Any], bool]) -> Slot:
    """A place whose name and value are wanted, or any place if there is none."""
    slots = draft.slots()
    fitting = [(container, key) for container, key in slots if isinstance(key, str) and wanted(key, container[key])]
    return rng.choice(fitting or slots)


def _delete(rng: Random, draft: Draft) -> None:
    container, key = rng.choice(draft.slots())
    if container is not draft.root:
        del container[key]


def _replace(rng: Random, draft: Draft) -> None:
    container, key = rng.choice(draft.slots()[1:] or draft.slots())
    container[key] = _odd_value(rng, draft)


def _replace_one(rng: Random, draft: Draft, name: str) -> None:
    places = [(container, key) for container, key in draft.slots() if key == name]
    container, key = rng.choice(places or draft.slots())
    inner = container[key]
    if isinstance(inner, dict) and rng.random() < 0.5:
        inner[rng.choice((MARKER, f"{MARKER} <ap@example.com>"))] = _odd_value(rng, draft)
    else:
        container[key] = rng.choice(("", _odd_value(rng, draft), _odd_value(rng, draft), _odd_value(rng, draft)))


def _replace_document(rng: Random, draft: Draft) -> None:
    if rng.random() < 0.1:
        draft.root[0] = _odd_value(rng, draft)


def _rename(rng: Random, draft: Draft) -> None:
    container, key = rng.choice(draft.slots())
    if isinstance(container, dict):
        name = rng.choice(
            (rng.choice(pools().names), rng.choice(pools().names), key.upper(), f" {key}", "", MARKER, "\ud800", "é")
        )
        container[name] = container.pop(key)


def _repeat_name(rng: Random, draft: Draft) -> None:
    """A second member of the same name, before or after the first as it falls."""
    container, key = rng.choice(draft.slots())
    if isinstance(container, dict):
        container[key + _REPEATED] = rng.choice((_odd_value(rng, draft), container[key]))


def _add_unknown(rng: Random, draft: Draft) -> None:
    container, key = rng.choice(draft.slots())
    target = container[key] if isinstance(container[key], dict) else container
    if isinstance(target, dict):
        target[rng.choice((MARKER, f"{MARKER} <ap@example.com>", rng.choice(pools().names)))] = _odd_value(rng, draft)


def _retype(rng: Random, draft: Draft) -> None:
    container, key = rng.choice(draft.slots())
    match container[key]:
        case bool() as value:
            container[key] = rng.choice((int(value), str(value), [value]))
        case int() | float() as value:
            container[key] = rng.choice((str(value), [value], {"value": value}, bool(value), _as_float(value)))
        case str() as value:
            container[key] = rng.choice(
                ([value], {"id": value}, value.encode("utf-8", "replace").hex(), len(value), [*value[:9]])
            )
        case list() as value:
            container[key] = rng.choice(
                ({"data": value}, {str(place): one for place, one in enumerate(value)}, json.dumps(value))
            )
        case dict() as value:
            container[key] = rng.choice(([value], [*value.values()], json.dumps(value), [*value]))


def _as_float(value: float) -> float:
    return float(value) if abs(value) < 2**1000 else 1.5


def _nudge(rng: Random, draft: Draft) -> None:
    container, key = _leaf(rng, draft, lambda _, value: isinstance(value, int | float) and not isinstance(value, bool))
    value = container[key]
    if isinstance(value, int) and not isinstance(value, bool):
        container[key] = rng.choice(
            (value + 1, value - 1, -value, value * 10, value * 1000, value // 2, 0, float(min(value, 2**60)))
        )


def _from_pool(rng: Random, draft: Draft) -> None:
    """A value that another payload has under the same name: the right type with another meaning."""
    container, key = _leaf(rng, draft, lambda name, _: name in pools().values)
    if values := pools().values.get(key) if isinstance(key, str) else None:
        container[key] = json.loads(json.dumps(rng.choice(values)))


def _graft(rng: Random, draft: Draft) -> None:
    """A part of another payload, put where it does not belong."""
    values = rng.choice([*pools().values.values()])
    container, key = rng.choice(draft.slots())
    container[key] = json.loads(json.dumps(rng.choice(values)))


def _swap(rng: Random, draft: Draft) -> None:
    slots = [(container, key) for container, key in draft.slots() if not isinstance(container[key], dict | list)]
    if slots:
        (one, here), (other, there) = rng.choice(slots), rng.choice(slots)
        one[here], other[there] = other[there], one[here]


def _another_id(rng: Random, draft: Draft) -> None:
    container, key = _leaf(rng, draft, lambda _, value: isinstance(value, str) and "_" in value and " " not in value)
    other, value = rng.choice(pools().ids), container[key]
    joined = (f"{value}{mark}{other}" for mark in "#|:/ \n") if isinstance(value, str) else ()
    container[key] = rng.choice((other, other, other, *joined, "é" * 250, "x" * 250, "x" * 251, f" {other}", other.upper()))


def _another_day(rng: Random, draft: Draft) -> None:
    container, key = _leaf(rng, draft, _is_time)
    container[key] = rng.choice(_INSTANTS if isinstance(container[key], str) else _EPOCHS)


def _is_time(_: str, value: Any) -> bool:
    if isinstance(value, str):
        return value[4:5] == value[7:8] == "-"
    return isinstance(value, int) and 10**9 <= value < 10**10


def _another_currency(rng: Random, draft: Draft) -> None:
    container, key = _leaf(rng, draft, lambda name, _: "currency" in name.lower())
    container[key] = rng.choice(_CURRENCIES)


def _another_type(rng: Random, draft: Draft) -> None:
    container, key = _leaf(rng, draft, lambda name, value: isinstance(value, str) and ("type" in name.lower() or "event" in name))
    container[key] = rng.choice((*rng.sample(pools().types, 4), "unknown.type", f"{container[key]}.v2", "", "a" * 251, MARKER))


def _another_word(rng: Random, draft: Draft) -> None:
    """An unknown member of an enumeration, a state, or an API version."""
    container, key = _leaf(rng, draft, lambda _, value: isinstance(value, str) and " " not in value)
    if isinstance(word := container[key], str):
        container[key] = rng.choice(
            (word.upper(), word[::-1], f"{word}_v2", f" {word}", word[:-1], "2099-01-01.new", "unknown", "-1")
        )


def _another_list(rng: Random, draft: Draft) -> None:
    lists = [(container, key) for container, key in draft.slots() if isinstance(container[key], list)]
    if lists:
        container, key = rng.choice(lists)
        value = container[key]
        container[key] = rng.choice(
            ([], value * 2, value * 11, value * 120, value[::-1], [*value, None], [value], value[:1] * 400)
        )


_STRUCTURAL: tuple[Callable[[Random, Draft], None], ...] = (
    *(_delete, _replace, _replace, _replace, _replace_document, _rename, _repeat_name, _add_unknown, _retype, _nudge, _nudge),
    *(_from_pool, _from_pool, _graft, _swap, _another_id, _another_id, _another_day, _another_day, _another_currency),
    *(_another_type, _another_word, _another_list),
)

# --- text ----------------------------------------------------------------------------------------------------------------


def _truncate(rng: Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _flip(rng: Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.randint(1, 8) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: Random, body: bytes) -> bytes:
    start = rng.randrange(len(body) + 1)
    return body[:start] + body[start + rng.randint(1, 40) :]


def _insert(rng: Random, body: bytes) -> bytes:
    place = rng.randrange(len(body) + 1)
    return body[:place] + rng.choice((rng.randbytes(rng.randint(1, 20)), *_INSERTED)) + body[place:]


_INSERTED = (
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf5\x80\x80\x80",
    b"\x00",
    b"/* */",
    b",",
    b"}{",
    b"\xe2\x80\xa8",
    b"\\u0000",
)


def _repeat(rng: Random, body: bytes) -> bytes:
    start = rng.randrange(len(body) + 1)
    end = start + rng.randint(1, 200)
    return body[:end] + body[start:]


def _cross(rng: Random, body: bytes) -> bytes:
    """The beginning of one payload and the end of another."""
    other = rng.choice(corpus()).body
    return body[: rng.randrange(len(body) + 1)] + other[rng.randrange(len(other) + 1) :]


def _reencode(rng: Random, body: bytes) -> bytes:
    text = body.decode("utf-8", "replace")
    return rng.choice(
        (
            text.encode("utf-16"),
            text.encode("utf-32-le"),
            text.encode("cp1252", "replace") + b"\xe9",
            b"\xef\xbb\xbf" + body,
            gzip.compress(body, mtime=0),
            text.replace('"', "'").encode(),
            body + b"\n" + body,
            b" \r\n\t" + body + b"\n\n",
            b"payload=" + body,
            body.hex().encode(),
        )
    )


def _nothing_of_it(rng: Random, _: bytes) -> bytes:
    return rng.choice(
        (b"", b" ", b"null", b"[]", b"{}", b"0", b'""', b"true", b"[{}]", b"\x00", b"\xff\xfe", b"<xml/>", b"a=1&b=2")
    )


_TEXTUAL: Sequence[Callable[[Random, bytes], bytes]] = (
    *(_truncate, _flip, _flip, _flip, _cut, _insert, _insert, _repeat, _cross, _reencode, _reencode, _nothing_of_it),
)


def sized(rng: Random, body: bytes, size: int) -> bytes:
    """`body` made `size` bytes long without changing what it says, or by one long text in it."""
    padding = size - len(body)
    if padding <= 0:
        return body
    if rng.random() < 0.5 or not body.rstrip().endswith(b"}"):
        return body + b" " * padding
    opened = body.rstrip()[:-1]
    member = b',"padding":"%b"}'
    room = size - len(opened) - len(member) + 2
    return opened + member.replace(b"%b", rng.choice((b"x", b" ")) * max(0, room))
