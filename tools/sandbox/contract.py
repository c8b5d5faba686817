"""The OpenAPI document as an executable contract: routes, parameters and closed request bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jsonschema_rs
import yaml

from tools.sandbox.wire import Problem, Record

DOCUMENT = Path(__file__).with_name("openapi.yaml")
ADDITIONS = Path(__file__).with_name("additions.yaml")
_METHODS = ("get", "post", "put", "patch", "delete")
_LONGEST_INTEGER = 18
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter: its JSON type and its compiled schema."""

    name: str
    type: str
    required: bool
    default: Any
    validator: jsonschema_rs.Validator

    def read(self, values: Sequence[str]) -> Any:  # noqa: ANN401 - the parameter's own JSON type
        """The typed value. Raises `Problem` 400 when the text does not fit the schema."""
        if not values:
            if self.required:
                raise Problem(400, f"Query parameter {self.name} is required")
            return self.default
        value = list(values) if self.type == "array" else _typed(self.type, values[-1])
        if not self.validator.is_valid(value):
            raise Problem(400, f"Query parameter {self.name} is malformed")
        return value


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the document."""

    id: str
    method: str
    path: str
    scope: Literal["account", "entity"]
    success: int
    idempotent: bool
    """Whether it takes an idempotency key: only operations that declare the header do, so reads do not."""
    body: jsonschema_rs.Validator | None
    body_required: bool
    query: tuple[Parameter, ...]

    def read_query(self, pairs: Sequence[tuple[str, str]]) -> Record:
        """Typed query parameters. Unknown ones are ignored. Raises `Problem` 400 for malformed ones."""
        return {p.name: p.read([value for name, value in pairs if name == p.name]) for p in self.query}

    def check_body(self, value: object) -> None:
        """Raises `Problem` 422 with every issue when the body breaks its schema."""
        if self.body is None or self.body.is_valid(value):
            return
        issues = [
            {"path": list(error.instance_path), "message": error.message, "code": error.kind.name}
            for error in self.body.iter_errors(value)
        ]
        raise Problem(422, "The request body does not match its schema", issues=issues)


class Contract:
    """Routes of one OpenAPI document."""

    def __init__(self, document: Record) -> None:
        self.document = document
        self.operations = _operations(document)
        self._by_shape: dict[tuple[str, ...], dict[str, Operation]] = {}
        for operation in self.operations:
            self._by_shape.setdefault(_shape(operation.path), {})[operation.method] = operation

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]]:
        """The operation behind a request line, with its path parameters.

        Raises `Problem` 404 for an unknown path and 405 for a known path without this method.
        """
        segments = path.strip("/").split("/")
        for shape, methods in self._by_shape.items():
            parameters = _match(shape, segments)
            if parameters is None:
                continue
            if method not in methods:
                raise Problem(405, "Method not allowed")
            return methods[method], parameters
        raise Problem(404, "Not Found")

    def schema(self, name: str) -> jsonschema_rs.Validator:
        """Compiled validator of one component schema."""
        return _compile({"$ref": f"#/components/schemas/{name}"}, self.document["components"])

    def fields(self, name: str) -> frozenset[str]:
        """Property names of one component schema."""
        return frozenset(self.document["components"]["schemas"][name]["properties"])


@cache
def contract() -> Contract:
    """The sandbox's contract: the document, and the operations of `ADDITIONS`. Compiled once."""
    document, additions = (yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) for path in (DOCUMENT, ADDITIONS))
    for path, item in additions["paths"].items():
        document["paths"].setdefault(path, {}).update(item)
    document["components"]["schemas"] |= additions["components"]["schemas"]
    return Contract(document)


def _operations(document: Record) -> list[Operation]:
    return [
        _operation(document, path, method, item)
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]


def _operation(document: Record, path: str, method: str, item: Record) -> Operation:
    spec = item[method]
    parameters = [_resolve(document, p) for p in (*item.get("parameters", ()), *spec.get("parameters", ()))]
    headers = {p["name"].lower() for p in parameters if p["in"] == "header"}
    body = spec.get("requestBody")
    return Operation(
        id=spec["operationId"],
        method=method.upper(),
        path=path,
        scope="account" if "x-account-id" in headers else "entity",
        success=min(int(status) for status in spec["responses"] if status.startswith("2")),
        idempotent="x-request-id" in headers,
        body=_compile(body["content"]["application/json"]["schema"], document["components"]) if body else None,
        body_required=bool(body and body.get("required")),
        query=tuple(_parameter(document, p) for p in parameters if p["in"] == "query"),
    )


def _parameter(document: Record, spec: Record) -> Parameter:
    schema = _resolve(document, spec["schema"])
    # A cursor or a filter in one text parameter is checked where it is read; here only its type is.
    plain = {key: value for key, value in schema.items() if key not in {"contentSchema", "contentMediaType"}}
    return Parameter(
        spec["name"], schema["type"], bool(spec.get("required")), schema.get("default"), _compile(plain, document["components"])
    )


def _resolve(document: Record, spec: Record) -> Record:
    if "$ref" not in spec:
        return spec
    node: Any = document
    for segment in spec["$ref"].removeprefix("#/").split("/"):
        node = node[segment]
    return dict(node)


def _compile(schema: Mapping[str, Any], components: Record) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": components}, validate_formats=True)


def _typed(kind: str, text: str) -> object:
    if kind == "integer":
        return int(text) if text.removeprefix("-").isdecimal() and len(text) <= _LONGEST_INTEGER else text
    return _BOOLEANS.get(text, text) if kind == "boolean" else text


def _shape(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/"))


def _match(shape: tuple[str, ...], segments: Sequence[str]) -> dict[str, str] | None:
    if len(shape) != len(segments):
        return None
    parameters = {}
    for expected, given in zip(shape, segments, strict=True):
        if expected.startswith("{"):
            parameters[expected.strip("{}")] = given
        elif expected != given:
            return None
    return parameters
