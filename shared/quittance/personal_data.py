"""Which part of what the ledger keeps is about persons, or is free text that may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quittance.storage import Item

_PERSONAL = frozenset({"payer", "description", "registration", "profile", "sent", "intent", "body", "because"})
"""Names of attributes that hold, at any depth, whom a payment or a registration is about, or free text."""
_LISTS = ("/items", "/lines")
"""Lists of things sold, whose `name` is free text."""


def parted(item: Item) -> tuple[dict[str, Any], dict[str, Any]]:
    """An item without its personal data, and these by the JSON pointer to where they were."""
    personal: dict[str, Any] = {}
    content: dict[str, Any] = _without(item, "", personal)
    return content, personal


def without_persons(item: Item) -> Item:
    """An item that reads as before but is about nobody: free text is empty, and whoever it named is left out."""
    content, personal = parted(item)
    empty = {pointer: "" if isinstance(value, str) else value for pointer, value in personal.items()}
    return whole(content, {pointer: value for pointer, value in empty.items() if not isinstance(value, dict | list)})


def _without(value: Any, pointer: str, personal: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return [_without(element, f"{pointer}/{place}", personal) for place, element in enumerate(value)]
    if not isinstance(value, dict):
        return value
    is_listed = pointer.rpartition("/")[0].endswith(_LISTS)
    hidden = _PERSONAL | {"name"} if is_listed else _PERSONAL
    kept = {}
    for name, inner in value.items():
        step = f"{pointer}/{_escaped(name)}"
        if name in hidden and inner:
            personal[step] = inner
        else:
            kept[name] = _without(inner, step, personal)
    return kept


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def whole(content: dict[str, Any], personal: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `parted`."""
    item: dict[str, Any] = _copied(content)
    for pointer, value in personal.items():
        *way, name = _steps(pointer)
        holder: Any = item
        for step in way:
            holder = holder[int(step) if isinstance(holder, list) else step]
        holder[name] = value
    return item


def _steps(pointer: str) -> Iterator[str]:
    return (step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _copied(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _copied(inner) for name, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
