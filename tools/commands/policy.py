"""`quittance policy`: the rules a business customer's documents follow, and what other rules would change."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quittance.explanation import amount, in_print, total_in_print
from quittance.registration import read_customer
from tools.commands.options import AsJson, Stack
from tools.policies import Figures, change_of, figures, proposed_policy
from tools.target import TargetError, chosen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from quittance.customers import BusinessCustomer
    from quittance.documents import Document
    from quittance.policy import Policy
    from tools.ledger_view import LedgerView
    from tools.policies import Change

policy = typer.Typer(no_args_is_help=True, help="Show the policies of business customers, and what another one would change.")


@policy.command()
def show(
    business_customer: Annotated[str | None, typer.Argument(help="All of them if not given.")] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Show every policy of a business customer, oldest first, and which one is in force."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with chosen(stack) as target:
        for customer in _customers(target.ledger, business_customer):
            in_force = customer.policy_at(now).version
            for one in customer.policies:
                settings = asdict(one) | {"business_customer": customer.id, "in_force": one.version == in_force}
                typer.echo(json.dumps(settings, ensure_ascii=False) if as_json else _settings_in_words(settings))


@policy.command()
def diff(
    file: Annotated[typer.FileText, typer.Argument(help="The proposed policy, as JSON; - for standard input.")],
    since: Annotated[str, typer.Option(help="Day, or RFC 3339 instant, from which on it would have counted.")],
    business_customer: Annotated[str | None, typer.Option(help="Only this one's payments.")] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List the documents, net and tax that would differ if a policy had counted since a day. Nothing is changed.

    Facts are documented from scratch under both policies. Tax numbers that were never checked are supposed to be valid.
    """
    proposed = _proposed(file, since)
    totals: dict[str, Figures] = {}
    with chosen(stack) as target:
        for change in _changes(target.ledger, proposed, business_customer):
            typer.echo(json.dumps(_line(change), ensure_ascii=False) if as_json else _in_words(change))
            for currency, difference in _difference(change).items():
                totals[currency] = totals.get(currency, Figures()) + difference
    if not as_json:
        typer.echo(_totals_in_words(totals))


def _changes(view: LedgerView, proposed: Policy, only: str | None) -> Iterator[Change]:
    known = {customer.id: customer for customer in _customers(view, only)}
    fee_issuer = view.platform()
    for case in view.cases():
        customer = view.customer_of(case)
        if customer and customer.id in known and (change := change_of(case, customer, proposed, fee_issuer)):
            yield change


def _proposed(file: typer.FileText, since: str) -> Policy:
    data = _json(file)
    try:
        return proposed_policy(data, since)
    except ValueError as error:
        raise typer.BadParameter(f"{since}: {error}", param_hint="--since") from None


def _json(file: typer.FileText) -> object:
    try:
        return json.load(file)
    except ValueError as error:
        raise TargetError(f"{file.name} is no JSON: {error}") from None


def _customers(view: LedgerView, only: str | None) -> list[BusinessCustomer]:
    found = [read_customer(view.table, name) for name in sorted(view.entities()) if only in (None, name)]
    if only and not found:
        raise TargetError(f"no business customer {only} has an entity")
    return [customer for customer in found if customer]


def _settings_in_words(settings: dict[str, Any]) -> str:
    since = settings["effective_from"] or "the beginning"
    verdict = " (in force)" if settings["in_force"] else ""
    hidden = {"business_customer", "version", "effective_from", "in_force"}
    lines = [f"  {name}: {json.dumps(value)}" for name, value in settings.items() if name not in hidden]
    return "\n".join((f"{settings['business_customer']}: policy {settings['version']} since {since}{verdict}", *lines))


def _line(change: Change) -> dict[str, Any]:
    return {
        "business_customer": change.business_customer,
        "payment_id": change.payment_id,
        "now": [_document(one) for one in change.now],
        "proposed": [_document(one) for one in change.proposed],
        "difference": {c: {"net": str(one.net), "tax": str(one.tax)} for c, one in _difference(change).items()},
    }


def _document(document: Document) -> dict[str, Any]:
    (figure,) = figures([document]).values()
    return {
        "key": document.key,
        "kind": str(document.kind),
        "amount": amount(document.amount),
        "net": str(figure.net),
        "tax": str(figure.tax),
        "date": document.date,
        "draft": document.draft,
        "reason": document.reason,
    }


def _difference(change: Change) -> dict[str, Figures]:
    now, proposed = figures(change.now), figures(change.proposed)
    currencies = sorted({*now, *proposed})
    return {one: proposed.get(one, Figures()) - now.get(one, Figures()) for one in currencies}


def _in_words(change: Change) -> str:
    lines = [f"payment {change.payment_id} of {change.business_customer}"]
    for mark, documents in (("-", change.now), ("+", change.proposed)):
        lines += [f"  {mark} {_document_in_words(one)}" for one in documents] or [f"  {mark} no document"]
    return "\n".join(lines)


def _document_in_words(document: Document) -> str:
    ((currency, figure),) = figures([document]).items()
    kind = f"draft {document.kind}" if document.draft else str(document.kind)
    tax = f"tax {total_in_print(abs(figure.tax), currency)}"
    return f"{kind.replace('_', ' ')} of {document.date}, {in_print(document.amount)}, {tax}: {document.reason}"


def _totals_in_words(totals: Mapping[str, Figures]) -> str:
    lines = [
        f"{currency}: net {total_in_print(one.net, currency)}, tax {total_in_print(one.tax, currency)} more than now"
        for currency, one in sorted(totals.items())
    ]
    return "\n".join(lines) or "nothing would differ"
