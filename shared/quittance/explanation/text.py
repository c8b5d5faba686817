"""An explanation for a terminal: one line for each thing that happened, was issued or was asked, none wider than `WIDTH`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentState
from quittance.explanation.amounts import fact_in_words, in_print
from quittance.explanation.findings import finding_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH = 120
"""Columns. Only a single word that is longer stays as it is: ids are there to be copied."""
_PAYOUT_LINES = 30
_OUTCOMES = {"known": "nothing new", "merged": "completed", "conflict": "does not count: another"}
_DONE = {"invoice": "issued", "credit_note": "issued", "email": "sent"}
"""What is said of a document that the API made, or of a request about one that it carried out: `done` of all others."""
_CALL_OUTCOMES = {"ok": "done", "found": "found what an earlier request had made"}


def as_text(explained: dict[str, Any]) -> str:
    """Any explanation of `quittance.explanation` as text."""
    lines = _of_customer(explained) if explained["kind"] == "business_customer" else _of_payment(explained)
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
    yield from _head(explained)
    names = _names(explained["documents"])
    is_payout = explained["kind"] == "payout"  # which moves no document; those of its payments are told with its lines
    yield "what happened"
    for fact in explained["facts"]:
        yield from _fact(fact, names, makes_documents=not is_payout)
    if not is_payout:
        yield "documents" if explained["documents"] else "no documents"
    for document in explained["documents"]:
        yield from _document(document, names)
    yield from _left(explained)
    if explained["superseded"]:
        yield "what took the place of what"
    for one in explained["superseded"]:
        yield f"  {_either_in_words(one['what'], names)} -> {_either_in_words(one['by'], names)}: {one['why']}"


def _head(explained: dict[str, Any]) -> Iterator[str]:
    owner = explained["business_customer"] or "(none registered yet)"
    payout = explained.get("payout")
    arrived = f", {payout['state']} {payout['occurred_at']}: {in_print(payout['amount'])}" if payout else ""
    account = f"{explained['provider']} {explained['account']}"
    yield f"{explained['kind']} {explained['payment_id']} ({account}) of business customer {owner}{arrived}"
    if explained["also_known_as"]:
        yield f"  also known as {', '.join(explained['also_known_as'])}"
    if payout:
        yield from _payout(payout)


def _left(explained: dict[str, Any]) -> Iterator[str]:
    """What is still to be done, by whomever."""
    for document in explained["missing"]:
        yield f"missing: {document['key']}  {in_print(document['amount'])}, because {document['reason']}"
    for waits in explained["waiting"]:
        yield f"waiting: {fact_in_words(waits['fact']) if waits['fact'] else 'everything'} waits for {waits['for']}"
    for finding in explained["findings"]:
        yield finding_in_words(finding)


def _names(documents: Iterable[dict[str, Any]]) -> dict[str, str]:
    """What each document is called, by its key and by its number: by its number, or by the document that it is about."""
    names: dict[str, str] = {}
    for one in documents:  # what refers to another one comes after it
        kind = f"{'draft ' if one['draft'] else ''}{one['kind'].replace('_', ' ')}"
        is_about = names.get(one["refers_to"] or "") if one["kind"] not in {"invoice", "credit_note"} else None
        names[one["key"]] = f"{kind} of {is_about}" if is_about else f"{kind} {one['number'] or one['key']}"
    return names | {one["number"]: names[one["key"]] for one in documents if one["number"]}


def _either_in_words(what: str, names: dict[str, str]) -> str:
    """What is superseded or supersedes it: a document, facts, or an event or a policy, which say so themselves."""
    if what in names or what.startswith(("event ", "policy ")):
        return names.get(what, what)
    return "; ".join(fact_in_words(one) for one in what.split(", "))


def _fact(fact: dict[str, Any], names: dict[str, str], *, makes_documents: bool) -> Iterator[str]:
    what = fact_in_words(fact["fact"].removesuffix(f"#{fact['payout']}"))
    payout = f", in payout {fact['payout']}" if fact["payout"] else ""
    money = f"{in_print(fact['amount'])}  " if fact["amount"] else ""
    yield f"  {fact['occurred_at']}  {what}  {money}(event {fact['event_id'] or 'unknown'}{payout})"
    if makes_documents:
        yield f"    -> {', '.join(names[key] for key in names if key in fact['documents']) or fact['no_document_because']}"
    if again := [_told_again(one) for one in fact["events"][1:]]:
        yield f"    told again by {'; '.join(again)}"


def _told_again(event: dict[str, Any]) -> str:
    fields = f" {', '.join(event['fields'])}" if event.get("fields") else ""
    said = f", {in_print(event['amount'])}" if event.get("amount") else ""
    return f"{event['event_id'] or 'an event without id'} ({_OUTCOMES[event['outcome']]}{fields}{said})"


def _document(document: dict[str, Any], names: dict[str, str]) -> Iterator[str]:
    name = names[document["key"]]
    known_as = f"{name} ({document['id']})" if document["id"] else name
    state = _DONE.get(document["kind"], "done") if document["state"] == DocumentState.ISSUED else document["state"]
    issued = f" at {document['issued_at']}" if document["issued_at"] else ""
    yield f"  {known_as}  {in_print(document['amount'])}  {state}{issued}"
    about = names.get(document["refers_to"] or "")
    refers_to = f", refers to {about}" if about and about not in name else ""
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
    currency = payout["amount"]["currency"]
    parts = [
        f"{name} {in_print({'value': payout[name], 'currency': currency})}"
        for name in ("payments", "fees", "refunds", "disputes", "other")
        if payout[name]
    ]
    residual = in_print({"value": payout["residual"], "currency": currency})
    if payout["state"] == "failed":
        yield "  nothing arrived, so there is nothing to explain"
    else:
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
        yield finding_in_words(finding)
