"""The `query` parameter of lists: flat conditions, all of which must hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from tools.sandbox.wire import Problem, Record, decode

Predicate = Callable[[Record], bool]
_Path = tuple[str, ...]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z?)?")


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, operand: _comparable(value, operand) and compare(value, operand)


def _text(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, operand: isinstance(value, str) and isinstance(operand, str) and compare(value, operand)


def _equal(value: object, operand: object) -> bool:
    return value == operand and isinstance(value, bool) == isinstance(operand, bool)


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": _equal,
    "not": lambda value, operand: not _equal(value, operand),
    "gt": _ordered(lambda value, operand: value > operand),
    "gte": _ordered(lambda value, operand: value >= operand),
    "lt": _ordered(lambda value, operand: value < operand),
    "lte": _ordered(lambda value, operand: value <= operand),
    "in": lambda value, operand: any(_equal(value, one) for one in operand),
    "notIn": lambda value, operand: not any(_equal(value, one) for one in operand),
    "contains": _text(lambda value, operand: operand.casefold() in value.casefold()),
    "startsWith": _text(str.startswith),
    "endsWith": _text(str.endswith),
    "between": lambda value, operand: all(_comparable(value, end) for end in operand) and operand[0] <= value <= operand[1],
}
_RANGE_ENDS = 2


def compile_query(text: str, fields: frozenset[str], metadata_queries: tuple[str, ...]) -> Predicate:
    """A predicate over records.

    `fields` are the top-level fields that may be named. A metadata condition in a spelling that is not in
    `metadata_queries` is ignored, as an API that knows only the other spelling would. Raises `Problem` 400 for text that
    is not a JSON object, an unknown field or operator, or an operand that does not fit its operator.
    """
    expression = decode(text.encode())
    if not isinstance(expression, dict):
        raise Problem(400, "query must be a JSON object")
    conditions = [
        (path, operator, operand)
        for path, operator, operand, spelling in _conditions(expression, fields)
        if path[0] != "metadata" or spelling in metadata_queries
    ]
    return lambda record: all(_holds(record, *condition) for condition in conditions)


def matches_text(record: Record, text: str) -> bool:
    """Whether any text anywhere in the record contains `text`, ignoring case."""
    needle = text.casefold()
    return any(needle in value.casefold() for value in _texts(record))


def value_at(record: object, path: _Path) -> list[Any]:
    """All the values at a path; a list on the way fans out. `[None]` when there is nothing."""
    if not path:
        return [record]
    if isinstance(record, list):
        return [value for item in record for value in value_at(item, path)] or [None]
    if not isinstance(record, dict):
        return [None]
    return value_at(record.get(path[0]), path[1:])


def comparable_form(path: _Path, value: object) -> object:
    """Dates and date-times as text that compares in time order; metadata is the caller's own text and stays as it is."""
    if path[0] == "metadata" or not isinstance(value, str) or not _DATE.fullmatch(value):
        return value
    day, _, time = value.partition("T")
    whole, _, fraction = time.rstrip("Z").partition(".")
    return f"{day}T{whole or '00:00:00'}.{fraction:0<6}"


def _conditions(expression: Record, fields: frozenset[str]) -> Iterator[tuple[_Path, str, Any, str]]:
    for name, condition in expression.items():
        top, dot, rest = name.partition(".")
        if top not in fields:
            raise Problem(400, f"Field {top} cannot be queried")
        path = (top,) if not dot else ("metadata", rest) if top == "metadata" else tuple(name.split("."))
        yield from _at(path, condition, "dotted" if dot else "nested")


def _at(path: _Path, condition: object, spelling: str) -> Iterator[tuple[_Path, str, Any, str]]:
    if not isinstance(condition, dict):
        yield path, "equals", comparable_form(path, condition), spelling
        return
    for key, operand in condition.items():
        if key in _OPERATORS:
            yield path, key, _operand(path, key, operand), spelling
        elif path == ("metadata",):
            yield from _at((*path, key), operand, spelling)
        else:
            raise Problem(400, f"Unknown operator {key}")


def _operand(path: _Path, operator: str, operand: object) -> object:
    takes_list = operator in {"in", "notIn", "between"}
    if takes_list != isinstance(operand, list) or isinstance(operand, dict):
        raise Problem(400, f"Operator {operator} does not take this operand")
    if not isinstance(operand, list):
        return comparable_form(path, operand)
    if operator == "between" and len(operand) != _RANGE_ENDS:
        raise Problem(400, "Operator between takes two values")
    return [comparable_form(path, one) for one in operand]


def _holds(record: Record, path: _Path, operator: str, operand: object) -> bool:
    test = _OPERATORS[operator]
    return any(test(comparable_form(path, value), operand) for value in value_at(record, path))


def _comparable(value: object, operand: object) -> bool:
    if isinstance(value, bool) or isinstance(operand, bool):
        return False
    if isinstance(value, str):
        return isinstance(operand, str)
    return isinstance(value, (int, Decimal)) and isinstance(operand, (int, Decimal))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
