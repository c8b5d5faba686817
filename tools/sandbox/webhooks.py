"""Webhook endpoints of one entity."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from tools.sandbox.books import take
from tools.sandbox.call import Call, Handler
from tools.sandbox.lists import list_records
from tools.sandbox.wire import Record, invalid

_SHOWN_OF_SECRET = 4


def _create(call: Call) -> Record:
    body = call.body
    _check_url(call, body["url"])
    webhook = call.stamp(
        {
            "id": call.ids.new("wh"),
            "entity_id": call.book.entity["id"],
            "url": body["url"],
            "description": body.get("description"),
            "events": list(dict.fromkeys(body["events"])),
            "active": body.get("active", True),
            "metadata": body.get("metadata") or {},
            "secret": call.ids.secret(),
        }
    )
    call.book.webhooks[webhook["id"]] = webhook
    return webhook


def _list(call: Call) -> Record:
    return list_records(call, call.book.webhooks.values(), "Webhook", _masked)


def _get(call: Call) -> Record:
    return _masked(take(call.book.webhooks, call.id, "Webhook"))


def _update(call: Call) -> Record:
    webhook = take(call.book.webhooks, call.id, "Webhook")
    if "url" in call.body:
        _check_url(call, call.body["url"])
    webhook.update(call.body)
    webhook["metadata"] = webhook["metadata"] or {}
    call.touch(webhook)
    return _masked(webhook)


def _delete(call: Call) -> None:
    webhook = take(call.book.webhooks, call.id, "Webhook")
    webhook["active"] = False  # what already waits for delivery is not sent any more
    del call.book.webhooks[call.id]


HANDLERS: dict[str, Handler] = {
    "createWebhook": _create,
    "getWebhooks": _list,
    "getWebhook": _get,
    "updateWebhook": _update,
    "deleteWebhook": _delete,
}


def _masked(webhook: Record) -> Record:
    return webhook | {"secret": f"whsec_****…{webhook['secret'][-_SHOWN_OF_SECRET:]}"}


def _check_url(call: Call, url: str) -> None:
    parts = urlsplit(url)
    plain = call.settings.plain_http_webhooks and parts.scheme == "http" and _is_loopback(parts.hostname or "")
    if not parts.hostname or not (parts.scheme == "https" or plain):
        raise invalid(["url"], "Must be an HTTPS address")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
