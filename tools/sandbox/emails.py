"""Documents sent by e-mail. Nothing is delivered: what would have been is kept, for whoever runs the sandbox to look at."""

from __future__ import annotations

import re

from tools.sandbox.call import Call, Handler
from tools.sandbox.dates import timestamp
from tools.sandbox.faults import EmailUnverified
from tools.sandbox.kinds import INVOICE, Kind, find_document, show_document
from tools.sandbox.wire import Problem, Record

_PUBLIC = "https://documents.invalid"
"""There are no public pages here: the links lead nowhere."""
_VARIABLE = re.compile(r"\{(\w+)\}")
_DAY_LENGTH = len("2026-01-01")


def _send(call: Call) -> Record:
    kind, document = find_document(call.book, call.id)
    if document["is_draft"]:
        raise Problem(422, "A draft cannot be sent")
    if call.meet(EmailUnverified):
        raise Problem(403, "Verify the account's e-mail address first", code="email_verification_required")
    link = _share(call, kind, document)
    values = _variables(call, document, link)
    email = {
        "message_id": call.ids.new("msg"),
        "to": call.body["to"],
        "subject": _filled(call.body.get("subject") or f"{kind.title} {{document_number}}", values),
        "shareable_link": link,
        "sandbox_skip_delivery": call.body.get("sandbox_skip_delivery", False),
    }
    call.emails.append(
        email
        | {
            "at": timestamp(call.now),
            "entity_id": call.book.entity["id"],
            "document_id": call.id,
            "body_text": _filled(call.body.get("body_text") or "", values),
            "attach_pdf": call.body.get("attach_pdf", False),
        }
    )
    shown = show_document(call.book, document)
    call.tell(kind.name, shown, "sent", event="invoice.sent" if kind is INVOICE else None)
    return email | {"status": "sent"}


HANDLERS: dict[str, Handler] = {"sendDocument": _send}


def _share(call: Call, kind: Kind, document: Record) -> str:
    """The address of the public page; the first e-mail about a document creates it."""
    if not document["shareable_id"]:
        document["shareable_id"] = call.ids.new(f"{kind.prefix}_share")
        call.touch(document)
    return f"{_PUBLIC}/{kind.plural}/shareable/{document['shareable_id']}/html"


def _variables(call: Call, document: Record, link: str) -> Record:
    return {
        "document_number": document["number"],
        "customer_name": (document["customer"] or {}).get("name") or "",
        "entity_name": call.book.entity["name"],
        "document_due_date": (document["date_due"] or "")[:_DAY_LENGTH],
        "document_total": document["total_with_tax"],
        "document_currency": document["currency_code"],
        "invoice_link": link,
    }


def _filled(template: str, values: Record) -> str:
    """The text with the variables that are known; anything else in braces stays."""
    return _VARIABLE.sub(lambda match: str(values.get(match[1], match[0])), template)
