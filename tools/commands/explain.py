"""`quittance explain`: why a payment has the documents it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quittance.ledger import case_names
from quittance.registration import customer_pk, read_customer
from tools.commands.options import AsJson, Stack
from tools.explain import as_text, explain_case
from tools.ledger_view import CASE_PREFIX, LedgerView
from tools.target import TargetError, chosen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.ledger import CaseFile
    from quittance.storage import Item

_EVENT_PREFIX = "EVENT#"


def explain(
    some_id: Annotated[
        str, typer.Argument(metavar="ID", help="Payment, refund, dispute, document or event id, or a document's number.")
    ],
    provider: Annotated[
        str | None, typer.Option(help="Provider of the payment; with --account the ledger need not be searched.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Provider account, or business customer for platform payments.")] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show a payment's facts, its documents with the reason for each, and what is missing, waiting or wrong.

    Event and document ids are found at once. Any other id is searched for in the whole ledger unless --provider and --account
    say whose payment it is.
    """
    if bool(provider) != bool(account):
        raise typer.BadParameter("--provider and --account belong together")
    with chosen(stack) as target:
        view = target.ledger
        explanations = _of_account(view, provider, account, some_id) if provider and account else _of_any(view, some_id)
    if not explanations:
        raise TargetError(f"the ledger knows no {some_id}; an event that only repeated a known fact is not kept under its own id")
    for one in explanations:
        typer.echo(json.dumps(one, ensure_ascii=False) if as_json else _text_of(one).rstrip())


def _of_account(view: LedgerView, provider: str, account: str, case_id: str) -> list[dict[str, Any]]:
    case = view.case(provider, account, case_id)
    return [_explained(view, case)] if case.facts else []


def _explained(view: LedgerView, case: CaseFile) -> dict[str, Any]:
    customer = view.customer_of(case)
    return explain_case(case, customer, view.planned(case, customer))


def _of_any(view: LedgerView, some_id: str) -> list[dict[str, Any]]:
    return list(_explanations(view, view.find(some_id) or view.search(some_id)))


def _explanations(view: LedgerView, items: Iterable[Item]) -> Iterator[dict[str, Any]]:
    told = set()
    for item in items:
        pk = item["pk"]
        if pk.startswith(CASE_PREFIX):
            case = view.case(*case_names(pk))
            if case.pk not in told:
                yield _explained(view, case)
            told.add(case.pk)
        elif pk.startswith(_EVENT_PREFIX) and pk not in told:
            yield {"kind": "ignored_event", "provider": item["provider"], "event_id": item["event_id"]} | {
                name: item[name] for name in ("event_type", "account", "reason", "received_at")
            }
            told.add(pk)
        elif pk.startswith(customer_pk("")) and pk not in told:
            yield _customer(view, pk.removeprefix(customer_pk("")))
            told.add(pk)


def _customer(view: LedgerView, customer_id: str) -> dict[str, Any]:
    customer = read_customer(view.table, customer_id)
    accounts = [{"provider": one.provider, "account": one.account} for one in customer.accounts] if customer else []
    return {
        "kind": "business_customer",
        "business_customer": customer_id,
        "entity_id": customer.entity_id if customer else None,
        "accounts": accounts,
    }


def _text_of(explained: dict[str, Any]) -> str:
    match explained["kind"]:
        case "payment":
            return as_text(explained)
        case "ignored_event":
            return (
                f"event {explained['event_id']} ({explained['provider']} {explained['event_type']}, {explained['received_at']})"
                f" makes no document: {explained['reason']}"
            )
        case _:
            entity = explained["entity_id"] or "none yet"
            accounts = ", ".join(f"{one['provider']} {one['account']}" for one in explained["accounts"])
            return f"business customer {explained['business_customer']}, entity {entity}, accounts: {accounts or 'none'}"
