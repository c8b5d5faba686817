"""`quittance send`: sign sample events as their provider would and post them."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Annotated

import httpx
import typer

from quittance.providers import provider_names
from tools.commands.options import Connection, Stack
from tools.deliveries import signed_headers
from tools.samples import with_fresh_ids
from tools.target import chosen

_TIMEOUT_S = 30


def send(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Event bodies, e.g. events/stripe/*.json.")],
    connection: Connection = "default",
    provider: Annotated[str | None, typer.Option(help="Provider to send as; by default the name of the file's folder.")] = None,
    fresh_ids: Annotated[
        bool,
        typer.Option("--fresh-ids/--as-is", help="Give events and payments new ids, the same ones in all files of this call."),
    ] = False,
    stack: Stack = None,
) -> None:
    """Sign sample events and post them to the webhook, printing each answer. Fails unless all are answered with 2xx."""
    target = chosen(stack)
    suffix = uuid.uuid4().hex[:8]
    accepted = True
    for file in files:
        name = provider or file.resolve().parent.name
        if name not in provider_names():
            raise typer.BadParameter(f"{file}: no provider is called {name}; name one with --provider")
        body = file.read_bytes()
        try:
            body = with_fresh_ids(body, suffix) if fresh_ids else body
            headers = signed_headers(name, body, target.secret(name, connection), int(time.time()))
        except (ValueError, KeyError, TypeError):
            raise typer.BadParameter(f"{file}: not an event of {name} that can be signed") from None
        answer = httpx.post(
            f"{target.webhooks}/webhooks/{name}/{connection}", content=body, headers=headers, timeout=_TIMEOUT_S, trust_env=False
        )
        typer.echo(f"{file}: {answer.status_code} {answer.text.strip()}")
        accepted = accepted and answer.is_success
    raise typer.Exit(0 if accepted else 1)
