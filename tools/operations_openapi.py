"""Write `docs/operations-openapi.json`, made of the handlers of the operators' API: `python -m tools.operations_openapi`.

Powertools describes what each handler takes and answers, from its signature. What no signature says is added here: who may call,
and how refusals look.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "operations-openapi.json"

_ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "QUEUE_URLS": "{}",
    "REPORTS_BUCKET": "none",
    "SPACE_INVOICES_API_KEY_PARAMETER": "/none",
    "SPACE_INVOICES_BASE_URL": "http://none.invalid",
    "TABLE_NAME": "none",
}
"""What the function needs to be imported. Nothing is asked of anybody."""
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457. `code` is stable, `errors` names the fields that were wrong.",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_REFUSED = {
    "description": "Refused, or not possible now. What API Gateway answers by itself (403 without permission, 429, 504) is "
    "no problem document.",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_SIGNED = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "AWS Signature Version 4, for the service execute-api.",
    "x-amazon-apigateway-authtype": "awsSigv4",
}


def function() -> ModuleType:
    """The function's module."""
    spec = importlib.util.spec_from_file_location("operations", ROOT / "functions" / "operations" / "app.py")
    if spec is None or spec.loader is None:
        raise ImportError("functions/operations/app.py")
    module = importlib.util.module_from_spec(spec)
    with patch.dict(os.environ, _ENVIRONMENT):
        spec.loader.exec_module(module)
    return module


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    made: dict[str, Any] = json.loads(
        function().app.get_openapi_json_schema(
            title="Quittance operations",
            version="1",
            description="For operators: payments, documents, findings, reports, replay and dead letters.",
        )
    )
    for path in made["paths"].values():
        for operation in path.values():
            operation["responses"]["default"] = _REFUSED
    made["components"]["schemas"]["Problem"] = _PROBLEM
    made["components"]["schemas"] = _used(made)
    made["components"]["securitySchemes"] = {"iam": _SIGNED}
    return made | {"security": [{"iam": []}], "paths": dict(sorted(made["paths"].items()))}


def _used(made: dict[str, Any]) -> dict[str, Any]:
    """The schemas that something refers to: Powertools adds some of its own for validation, which is not used."""
    schemas: dict[str, Any] = made["components"]["schemas"]
    used: set[str] = set()
    found = _references(made["paths"])
    while found:
        used |= found
        found = {name for one in found for name in _references(schemas[one])} - used
    return {name: schemas[name] for name in sorted(used)}


def _references(value: Any) -> set[str]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        own = {value["$ref"].rpartition("/")[2]} if "$ref" in value else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def rendered() -> str:
    """The text of the file."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(rendered(), encoding="utf-8")
