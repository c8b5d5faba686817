"""`quittance explain`: why a payment has the documents it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quittance.explanation import as_text
from quittance.facts import PAYOUT_TYPES, FactType
from quittance.ledger import CASE_PREFIX, case_names
from quittance.registration import customer_pk
from tools.commands.options import AsJson, Stack
from tools.explaining import Explainer
from tools.reproduction import NotPrintedError
from tools.target import TargetError, chosen
from tools.timeline import FORMATS, save_timeline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.documents import RecordedDocument
    from quittance.ledger import CaseFile
    from quittance.storage import Item
    from tools.ledger_view import LedgerView

_EVENT_PREFIX = "EVENT#"
_REPORTS_PREFIX = "REPORTS#"
_DRAWN = ("payment", "payout")
_OF_A_PAYMENT = (CASE_PREFIX, _REPORTS_PREFIX)


def explain(
    some_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Payment, refund, dispute, payout, document, event or business customer id, or a document's number.",
        ),
    ],
    *,
    provider: Annotated[
        str | None, typer.Option(help="Provider of the payment; with --account the ledger need not be searched.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Provider account, or business customer for platform payments.")] = None,
    timeline: Annotated[Path | None, typer.Option(dir_okay=False, help="Draw the payment into this .svg or .png file.")] = None,
    reproduce: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Print the document into this PDF file, from the ledger alone.")
    ] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show a payment's facts, its documents with rule, calls and reason for each, and what is missing, waiting or wrong.

    The id of a payout shows its lines with the documents behind each.

    Event and document ids are found at once. Any other id is searched for in the whole ledger unless --provider and --account
    say whose payment it is. Nothing is asked of the invoicing API: each document is also derived once more from what was known
    when it was issued.
    """
    if bool(provider) != bool(account):
        raise typer.BadParameter("--provider and --account belong together")
    if timeline and timeline.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"{timeline}: a timeline is drawn as {' or '.join(FORMATS)}", param_hint="--timeline")
    with chosen(stack) as target:
        view = target.ledger
        explainer = Explainer(view)
        items = [] if provider else view.find(some_id) or view.search(some_id)
        cases = _of_account(view, provider, account, some_id) if provider and account else list(_cases(view, _listed(items)))
        explanations = [explainer.payment(case) for case in cases] + list(_others(explainer, items))
        if not explanations:
            raise TargetError(f"the ledger knows no {some_id}")
        for one in explanations:
            typer.echo(json.dumps(one, ensure_ascii=False) if as_json else _text_of(one).rstrip())
        if timeline:
            _draw([one for one in explanations if one["kind"] in _DRAWN], some_id, timeline)
        if reproduce:
            _reproduce(explainer, cases, some_id, reproduce)


def _of_account(view: LedgerView, provider: str, account: str, case_id: str) -> list[CaseFile]:
    case = view.case(provider, account, case_id)
    return [case] if case.facts else []


def _listed(items: Iterable[Item]) -> list[Item]:
    """Without the marks of a payout on its payments, if the payout is there itself: it lists them."""
    known = [(item["sk"].removeprefix("FACT#").partition("#")[0], item) for item in items]
    has_payout = any(kind in PAYOUT_TYPES for kind, _ in known)
    return [item for kind, item in known if not (has_payout and kind == FactType.PAYMENT_SETTLED)]


def _cases(view: LedgerView, items: Iterable[Item]) -> Iterator[CaseFile]:
    told = set()
    for item in items:
        if item["pk"].startswith(_OF_A_PAYMENT):
            case = view.case(*case_names(item["pk"]))
            if case.pk not in told:
                yield case
            told.add(case.pk)


def _others(explainer: Explainer, items: Iterable[Item]) -> Iterator[dict[str, Any]]:
    told = set()
    for item in items:
        pk = item["pk"]
        if pk in told:
            continue
        told.add(pk)
        if pk.startswith(_EVENT_PREFIX):
            yield {"kind": "ignored_event", "provider": item["provider"], "event_id": item["event_id"]} | {
                name: item[name] for name in ("event_type", "account", "reason", "received_at")
            }
        elif pk.startswith(customer_pk("")):
            yield explainer.customer(pk.removeprefix(customer_pk("")))


def _text_of(explained: dict[str, Any]) -> str:
    if explained["kind"] != "ignored_event":
        return as_text(explained)
    return (
        f"event {explained['event_id']} ({explained['provider']} {explained['event_type']}, {explained['received_at']})"
        f" makes no document: {explained['reason']}"
    )


def _draw(payments: list[dict[str, Any]], some_id: str, file: Path) -> None:
    if len(payments) != 1:
        raise TargetError(f"{some_id} names {len(payments)} payments; a timeline shows one: use --provider and --account")
    save_timeline(payments[0], file)
    typer.echo(str(file), err=True)


def _reproduce(explainer: Explainer, cases: list[CaseFile], some_id: str, file: Path) -> None:
    named = [(case, key) for case in cases for key, entry in case.documents.items() if _is_named(some_id, key, entry.record)]
    if len(named) != 1:
        known = ", ".join(key for case in cases for key in case.documents) or "none"
        raise TargetError(f"{some_id} is not the id, number or key of one document; documents here: {known}")
    ((case, key),) = named
    try:
        file.write_bytes(explainer.reproduced(case, key))
    except NotPrintedError as error:
        raise TargetError(str(error)) from None
    typer.echo(str(file), err=True)


def _is_named(some_id: str, key: str, record: RecordedDocument) -> bool:
    return some_id in {key, record.api_id, record.printed_number}
