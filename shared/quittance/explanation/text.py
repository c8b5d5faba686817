"""An explanation for a terminal: one line for each thing that happened, was issued or was asked, none wider than `WIDTH`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentState
from quittance.explanation.amounts import in_print

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 120
"""Columns. Only a single word that is longer stays as it is: ids are there to be copied."""
_PAYOUT_LINES = 30
_OUTCOMES = {"known": "nothing new", "merged": "completed", "conflict": "does not count: contradicts"}
_CALL_OUTCOMES = {"ok": "done", "found": "found what an earlier request had made"}


def as_text(explained: dict[str, Any]) -> str:
    """Any explanation of `quittance.explanation` as text."""
    lines = _of_payment(explained) if explained["kind"] == "payment" else _of_customer(explained)
    return "\n".join(part for line in lines for part in _wrapped(line)) + "\n"


def _wrapped(line: str) -> list[str]:
    """A line in as many as it needs, the further ones indented more than the first."""
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.wrap(
        line.lstrip(),
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _of_payment(explained: dict[str, Any]) -> Iterator[str]:
    owner = explained["business_customer"] or "(none registered yet)"
    yield f"payment {explained['payment_id']} ({explained['provider']} {explained['account']}) of business customer {owner}"
    if explained["also_known_as"]:
        yield f"  also known as {', '.join(explained['also_known_as'])}"
    if payout := explained.get("payout"):
        yield from _payout(payout)
    yield "what happened"
    for fact in explained["facts"]:
        yield from _fact(fact)
    yield "documents" if explained["documents"] else "no documents"
    for document in explained["documents"]:
        yield from _document(document)
    for document in explained["missing"]:
        yield f"missing: {document['key']}  {in_print(document['amount'])}, because {document['reason']}"
    for waits in explained["waiting"]:
        yield f"waiting: {waits['fact'] or 'everything'} waits for {waits['for']}"
    for finding in explained["findings"]:
        yield f"finding: {finding['code']} ({finding['subject']})"
    if explained["superseded"]:
        yield "what took the place of what"
    for one in explained["superseded"]:
        yield f"  {one['what']} -> {one['by']}: {one['why']}"


def _fact(fact: dict[str, Any]) -> Iterator[str]:
    payout = f", in payout {fact['payout']}" if fact.get("payout") else ""
    money = f"{in_print(fact['amount'])}  " if fact["amount"] else ""
    yield f"  {fact['occurred_at']}  {fact['fact']}  {money}(event {fact['event_id'] or 'unknown'}{payout})"
    yield f"    -> {', '.join(fact['documents']) or fact['no_document_because']}"
    if again := [_told_again(one) for one in fact["events"][1:]]:
        yield f"    told again by {'; '.join(again)}"


def _told_again(event: dict[str, Any]) -> str:
    fields = f" {', '.join(event['fields'])}" if event.get("fields") else ""
    return f"{event['event_id'] or 'an event without id'} ({_OUTCOMES[event['outcome']]}{fields})"


def _document(document: dict[str, Any]) -> Iterator[str]:
    known_as = " ".join(part for part in (document["number"], document["id"] and f"({document['id']})") if part)
    kind = f"{'draft ' if document['draft'] else ''}{document['kind'].replace('_', ' ')}"
    issued = f" at {document['issued_at']}" if document["issued_at"] else ""
    yield f"  {kind} {known_as or document['key']}  {in_print(document['amount'])}  {document['state']}{issued}"
    refers_to = f", refers to {document['refers_to']}" if document["refers_to"] else ""
    yield f"    because {document['reason']}{refers_to}, dated {document['date']}, policy {document['policy']}"
    yield from _why(document)
    if document["error"]:
        yield f"    {'refused' if document['state'] == DocumentState.REFUSED else 'differs'}: {document['error']}"
    if seen := document["seen"]:
        yield f"    seen {seen['state']} with {in_print(seen['amount'])} at {seen['at']}"
    yield from _calls(document)


def _why(document: dict[str, Any]) -> Iterator[str]:
    settings = [f"{name} {_in_words(value)}" for name, value in document["rule"]["settings"].items()]
    if settings:
        yield f"    rule: {', '.join(settings)}"
    if document["tax"]:
        yield f"    tax: {'; '.join(_tax(document['tax'], document['amount']['currency']))}"
    if derived := document["derives_again"]:
        verdict = "yes, to the byte" if derived["same"] else f"no, these differ: {', '.join(derived['differs'])}"
        yield f"    derives again from the ledger: {verdict}"


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {one}" for name, one in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tax(tax: dict[str, Any], currency: str) -> Iterator[str]:
    if tax["treatment"]:
        yield f"{tax['treatment']} sale"
    yield from (f"policy says {name}: {_in_words(value)}" for name, value in tax["settings"].items())
    for rate in tax["rates"]:
        yield f"{rate['percent']} % of {rate['net']} is {rate['tax']} {currency}" if rate["percent"] else "none charged"
    if registry := tax["registry"]:
        answer = {True: "valid", False: "not valid", None: "not known, the registry did not answer"}[registry["valid"]]
        request = f", request {registry['request_id']}" if registry["request_id"] else ""
        yield f"buyer's tax number {answer} ({registry['checked_at']}{request})"
    if tax["clause"]:
        yield f'printed: "{tax["clause"]}"'


def _calls(document: dict[str, Any]) -> Iterator[str]:
    for call in document["calls"]:
        asked = call["call"] or "nothing was sent"
        status = f" {call['status']}" if call["status"] else ""
        request = f" (request {call['request_id']})" if call["request_id"] else ""
        outcome = _CALL_OUTCOMES.get(call["outcome"], call["outcome"])
        yield f"    asked {call['at']} {asked}{status}: {outcome}{request}"
    if document["calls_unknown"]:
        yield f"    attempts that were cut off before their outcome was recorded: {document['calls_unknown']}"


def _payout(payout: dict[str, Any]) -> Iterator[str]:
    yield f"payout {payout['payout_id']}, {payout['state']} {payout['occurred_at']}: {in_print(payout['amount'])}"
    currency = payout["amount"]["currency"]
    parts = [
        f"{name} {in_print({'value': payout[name], 'currency': currency})}"
        for name in ("payments", "fees", "refunds", "disputes", "other")
        if payout[name]
    ]
    residual = in_print({"value": payout["residual"], "currency": currency})
    yield f"  {', '.join(parts) or 'nothing explains it'}; residual {residual}"
    for line in payout["lines"][:_PAYOUT_LINES]:
        documents = ", ".join(one["number"] or one["id"] for one in line["documents"])
        verdict = f"unexplained: {line['reason'].replace('_', ' ')}" if line["reason"] else documents or "no document is due"
        yield f"  {line['kind']} {line['id']}  {in_print({'value': line['gross'], 'currency': currency})} -> {verdict}"
    if (more := len(payout["lines"]) - _PAYOUT_LINES) > 0:
        yield f"  and {more} lines more: quittance payouts {payout['payout_id']}"


def _of_customer(explained: dict[str, Any]) -> Iterable[str]:
    accounts = ", ".join(f"{one['provider']} {one['account']}" for one in explained["accounts"]) or "none"
    entity = explained["entity_id"] or "none yet"
    yield f"business customer {explained['business_customer']}, entity {entity}, accounts: {accounts}"
    for policy in explained["policies"]:
        settings = [f"{name} {_in_words(value)}" for name, value in policy.items() if name not in {"version", "effective_from"}]
        since = policy.get("effective_from") or "the beginning"
        yield f"  policy {policy['version']} since {since}: {', '.join(settings) or 'the default'}"
    for one in explained["registrations"]:
        refused = f"; its policy was refused: {one['policy_refused']}" if one["policy_refused"] else ""
        yield f"  {one['occurred_at']} {one['type']} (event {one['event_id'] or 'unknown'}): {', '.join(one['fields'])}{refused}"
    for finding in explained["findings"]:
        yield f"finding: {finding['code']} ({finding['subject']})"
