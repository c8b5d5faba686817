"""The operators' API.

A handler's signature is what it takes: the OpenAPI document is made of it, and requests are checked against it. IAM decides who
may call what. Whatever is changed, printed or fetched is written to the audit trail before it is done.
"""

from __future__ import annotations

import base64
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from botocore.exceptions import BotoCoreError, ClientError

from quittance.errors import InDoubt, Park, QuittanceError, Reject, Retry
from quittance.operations import answers
from quittance.operations.arguments import Between, Length, WrongArgument, arguments_of
from quittance.operations.pages import keys_of, opaque
from quittance.operations.payments import PaymentName
from quittance.operations.requests import Id, Reason, Redrive, Replay
from quittance.reconciliation.results import Severity
from quittance.runtime.observability import logger
from quittance.runtime.operations import Operations
from quittance.runtime.problems import problem, refusal
from quittance.runtime.redrive import Wanted
from quittance.storage import Keys

if TYPE_CHECKING:
    from collections import Counter
    from contextlib import AbstractContextManager

    from quittance.runtime.letters import Kind

Limit = Annotated[int, Between(1, 100)]
Cursor = Annotated[str, Length(1, 4096)]
_BINARY = {"type": "string", "format": "binary"}
LOOKS_FOR_S = 12.0
REDRIVES_FOR_S = 16.0
"""API Gateway waits for 29 seconds."""

app = APIGatewayRestResolver()
_operations = Operations()


# ---------------------------------------------------------------- payments and documents


@app.get("/operations/payments", summary="Payments in which something waits")
def waiting_payments(waiting: bool = True, limit: Limit = 50, cursor: Cursor | None = None) -> answers.WaitingPayments:  # noqa: FBT001, FBT002 - it is called by name
    if not waiting:
        raise WrongArgument("waiting", "must be true: what waits for nothing is in the reports")
    page = _operations.payments.waiting(_after(cursor), limit)
    return answers.WaitingPayments(payments=[answers.waiting_payment(head) for head in page.items], next=opaque(page.last))


@app.get(
    "/operations/payments/<payment_id>",
    summary="Explain a payment: facts, documents, and the reason for each",
    description="An event or a document id leads to its payment by itself. A payment id needs the provider and account, or the "
    "business customer.",
)
def explain_payment(
    payment_id: Id, provider: Id | None = None, account: Id | None = None, business_customer: Id | None = None
) -> answers.Explanations:
    if (provider is None) is not (account is None):
        raise WrongArgument("account" if account is None else "provider", "is missing: the two belong together")
    exact = (provider, account) if provider and account else None
    found = _operations.payments.explained(payment_id, account=exact, business_customer=business_customer)
    return answers.Explanations(explanations=found)


@app.get("/operations/documents/<document_id>", summary="Find a document by its id in the invoicing API")
def find_document(document_id: Id) -> answers.Document:
    case, record, issuer = _operations.payments.document(document_id)
    document = record.document
    return answers.Document(
        id=record.api_id,
        number=record.number,
        kind=str(document.kind),
        state=str(record.state),
        amount=answers.Amount(value=document.amount.value, currency=document.amount.currency),
        date=document.date,
        business_customer=issuer.id,
        provider=case.provider,
        account=case.account,
        payment_id=case.id,
    )


@app.get(
    "/operations/documents/<document_id>/pdf",
    summary="Print a document",
    description="The one answer with personal data, so it is audited.",
    responses={200: {"description": "The document", "content": {"application/pdf": {"schema": _BINARY}}}},
)
def print_document(document_id: Id) -> Response[bytes]:
    with _audited("print", document=document_id):
        _, record, issuer = _operations.payments.document(document_id)
        pdf = _operations.space_invoices.pdf(record.api_id, entity_id=str(issuer.entity_id))
    return Response(200, "application/pdf", pdf)


# ---------------------------------------------------------------- findings


@app.get("/operations/findings", summary="Findings that stand: those that are open, or those that were acknowledged")
def open_findings(  # noqa: PLR0913, PLR0917 - whatever may be asked
    acknowledged: bool = False,  # noqa: FBT001, FBT002 - it is called by name
    severity: Severity | None = None,
    code: Id | None = None,
    business_customer: Id | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
) -> answers.Findings:
    findings = _operations.findings
    known = findings.acknowledgements()
    page = findings.page(
        _after(cursor),
        limit,
        acknowledged=known,
        is_acknowledged=acknowledged,
        severity=severity,
        code=code,
        business_customer=business_customer,
    )
    shown = [answers.finding(item, findings.customer_of(item), known.of(item)) for item in page.items]
    return answers.Findings(findings=shown, next=opaque(page.last))


@app.post(
    "/operations/findings/<finding_id>/approve",
    summary="Have a finding repaired",
    description="Its payment is converged again, by the same pipeline as ever. Findings that only a person can put right are "
    "refused with 409 and what to do.",
)
def approve_finding(finding_id: Cursor) -> answers.Queued:
    with _audited("approve", finding=finding_id) as came_of_it:
        payment, code = _operations.findings.to_repair(keys_of(finding_id))
        came_of_it.update(payment._asdict(), code=code)
        _operations.revisit([payment], f"repair {code}")
    return answers.Queued(queued=1)


@app.post(
    "/operations/findings/<finding_id>/acknowledge",
    summary="Acknowledge a finding",
    description="It counts as dealt with for as long as it says the same. The reason is kept with it, but not in the audit.",
)
def acknowledge_finding(finding_id: Cursor, asked: Reason) -> answers.Finding:
    with _audited("acknowledge", finding=finding_id) as came_of_it:
        item, given = _operations.findings.acknowledge(keys_of(finding_id), _caller(), asked.reason)
        came_of_it.update(code=item["code"], subject=item["subject"])
    return answers.finding(item, _operations.findings.customer_of(item), given)


# ---------------------------------------------------------------- replay


@app.post(
    "/operations/replay",
    summary="Run payments through the pipeline again",
    description="From their recorded facts. What is issued already is found and not issued again. All or none: an unknown "
    "payment is refused with 404.",
)
def replay(asked: Replay) -> answers.Queued:
    names = [PaymentName(one.provider, one.account, one.payment_id) for one in asked.payments]
    with _audited("replay", payments=[name._asdict() for name in names]):
        _operations.payments.require_known(names)
        _operations.revisit(names, "replay")
    return answers.Queued(queued=len(names))


# ---------------------------------------------------------------- dead letters


@app.get(
    "/operations/dead-letters",
    summary="Count dead letters by function, cause and business customer",
    description="While they are counted nobody else sees them.",
)
def dead_letters(
    function: Id | None = None, cause: Id | None = None, business_customer: Id | None = None, limit: Limit = 50
) -> answers.DeadLetterOverview:
    overview = _operations.dead_letters.overview(_wanted(function, cause, business_customer), within_s=LOOKS_FOR_S)
    kinds = _kinds(overview.kinds)
    return answers.DeadLetterOverview(
        queues=[answers.QueueOfLetters(function=name, letters=count) for name, count in sorted(overview.lying.items())],
        kinds=kinds[:limit],
        of_other_kinds=sum(kind.letters for kind in kinds[limit:]),
    )


@app.post(
    "/operations/redrive",
    summary="Send dead letters to their queues again",
    description="As many as fit into some seconds, at a pace that leaves room for new payments, business customers in turns. "
    "Ask again until it is complete.",
)
def redrive(asked: Redrive) -> answers.Redriven:
    wanted = _wanted(asked.function, asked.cause, asked.business_customer)
    with _audited("redrive", **{name: value for name, value in asdict(asked).items() if value is not None}) as came_of_it:
        result = _operations.dead_letters.redrive(wanted, pace=_operations.pace, limit=asked.limit, within_s=REDRIVES_FOR_S)
        came_of_it.update(letters=result.sent.total(), came_back=result.came_back, complete=result.is_complete)
    return answers.Redriven(**came_of_it, kinds=_kinds(result.sent))


def _wanted(function: str | None, cause: str | None, business_customer: str | None) -> Wanted:
    known = _operations.dead_letters.functions
    if function is not None and function not in known:
        raise WrongArgument("function", f"must be one of {', '.join(sorted(known))}")
    return Wanted(function=function, cause=cause, business_customer=business_customer)


def _kinds(counted: Counter[Kind]) -> list[answers.Letters]:
    return [answers.Letters(**kind._asdict(), letters=count) for kind, count in counted.most_common()]


# ---------------------------------------------------------------- reports and audit


@app.get("/operations/reports", summary="Reports of reconciliations")
def reports(limit: Limit = 50, cursor: Cursor | None = None) -> answers.Reports:
    after = _after(cursor)
    ids = _operations.reports.latest(after.sk if after else None, limit)
    return answers.Reports(reports=ids, next=opaque(Keys("reports", ids[-1])) if len(ids) == limit else None)


@app.get("/operations/reports/<report_id>", summary="Where the files of a report can be fetched")
def report(report_id: Annotated[str, Length(1, 64)]) -> answers.Report:
    with _audited("fetch", report=report_id):
        files = _operations.reports.files(report_id)
    return answers.Report(id=report_id, files=[answers.ReportFile(name=f.name, bytes=f.size, url=f.url) for f in files])


@app.get("/operations/audit", summary="Who asked for what, and what came of it")
def audit(
    month: Annotated[str, Length(7, 7)] | None = None, limit: Limit = 50, cursor: Cursor | None = None
) -> answers.AuditEntries:
    page = _operations.audit.page(month or datetime.now(UTC).strftime("%Y-%m"), _after(cursor), limit)
    return answers.AuditEntries(entries=[answers.audit_entry(item) for item in page.items], next=opaque(page.last))


# ---------------------------------------------------------------- around every handler


def _after(cursor: str | None) -> Keys | None:
    try:
        return keys_of(cursor) if cursor else None
    except Reject:
        raise WrongArgument("cursor", "is not one that was given out") from None


def _audited(action: str, **asked: Any) -> AbstractContextManager[dict[str, Any]]:  # noqa: ANN401 - any JSON
    context = app.current_event.request_context
    return _operations.audit.entry(_caller(), context.request_id, action, asked)


def _caller() -> str:
    """The IAM principal. Raises `Reject` where there is none: then nobody checked who it is."""
    caller = app.current_event.request_context.identity.user_arn
    if not caller:
        raise Reject("caller_unknown", "sign the request with AWS Signature Version 4")
    return caller


def _checked(app: APIGatewayRestResolver, next_middleware: Any) -> Response[Any]:  # noqa: ANN401 - Powertools' own
    """Let nobody in whom IAM did not, and call the handler with what it declares."""
    _caller()
    path = {name: unquote(value) for name, value in app.context["_route_args"].items()}
    query = app.current_event.query_string_parameters
    app.context["_route_args"] = arguments_of(app.context["_route"].func, path, query, _body())
    answer: Response[Any] = next_middleware(app)
    return answer


def _body() -> str | None:
    """What was sent. API Gateway hands everything over in base64, as webhooks need it."""
    event = app.current_event
    try:
        return base64.b64decode(event.body or "").decode() if event.is_base64_encoded else event.body
    except ValueError:
        raise WrongArgument("body", "must be JSON") from None


app.use(middlewares=[_checked])


def _refused(error: Reject) -> Response[str]:
    return refusal(error)


def _unavailable(error: QuittanceError | BotoCoreError | ClientError) -> Response[str]:
    code = error.code if isinstance(error, QuittanceError) else type(error).__name__
    logger.warning("operation failed", extra={"code": code, "reason": str(error) if isinstance(error, QuittanceError) else code})
    status = HTTPStatus.BAD_GATEWAY if isinstance(error, Park) else HTTPStatus.SERVICE_UNAVAILABLE
    return problem(status, "unavailable", "It may have been done or not: look before you ask again.")


def _defect(_: Exception) -> Response[str]:
    logger.exception("operation met a defect")
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "defect")


app.exception_handler(Reject)(_refused)
app.exception_handler([Retry, InDoubt, Park, BotoCoreError, ClientError])(_unavailable)
app.exception_handler(Exception)(_defect)


@app.not_found
def _no_route(_: Exception) -> Response[str]:
    return refusal(Reject("route_unknown"))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's own
    with logger.append_context_keys(request_id=event["requestContext"].get("requestId")):
        answer = app.resolve(event, context)
        logger.info("operation answered", extra={"route": event.get("resource"), "status": answer["statusCode"]})
        return answer
