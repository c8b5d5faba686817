"""Refusals as problem documents: RFC 9457."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_lambda_powertools.event_handler import Response

from quittance.operations.arguments import ARGUMENT_WRONG, WrongArgument

if TYPE_CHECKING:
    from quittance.errors import QuittanceError

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 5

_STATUS_OF = {
    ARGUMENT_WRONG: HTTPStatus.BAD_REQUEST,
    "caller_unknown": HTTPStatus.FORBIDDEN,
    "document_unknown": HTTPStatus.NOT_FOUND,
    "finding_not_repairable": HTTPStatus.CONFLICT,
    "finding_unknown": HTTPStatus.NOT_FOUND,
    "id_unreadable": HTTPStatus.NOT_FOUND,
    "payment_unknown": HTTPStatus.NOT_FOUND,
    "report_unknown": HTTPStatus.NOT_FOUND,
    "route_unknown": HTTPStatus.NOT_FOUND,
}


def status_of(code: str) -> HTTPStatus:
    """The answer to each code of `Reject`."""
    return _STATUS_OF.get(code, HTTPStatus.BAD_REQUEST)


def refusal(error: QuittanceError) -> Response[str]:
    """The problem that somebody's request has."""
    errors = [{"field": error.field, "detail": error.must}] if isinstance(error, WrongArgument) else []
    detail = str(error).removeprefix(error.code).removeprefix(": ")
    return problem(status_of(error.code), error.code, detail, errors)


def problem(status: HTTPStatus, code: str, detail: str = "", errors: list[dict[str, str]] | None = None) -> Response[str]:
    """A problem document. `code` is stable and for programs, `detail` is for people."""
    document = {"type": f"urn:quittance:problem:{code}", "title": status.phrase, "status": status.value, "code": code}
    said = {"detail": detail, "errors": errors}
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    body = json.dumps(document | {name: value for name, value in said.items() if value})
    return Response(status.value, CONTENT_TYPE, body, dict(headers))
