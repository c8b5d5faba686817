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
from tools.deliveries import signed_delivery
from tools.samples import with_fresh_ids
from tools.target import Target, chosen

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
    suffix = uuid.uuid4().hex[:8] if fresh_ids else None
    with chosen(stack) as target:
        answers = [_sent(target, file, provider or file.resolve().parent.name, connection, suffix) for file in files]
    raise typer.Exit(0 if all(answer.is_success for answer in answers) else 1)


def _sent(target: Target, file: Path, provider: str, connection: str, suffix: str | None) -> httpx.Response:
    """Sign and post one file, with new ids if a suffix for them is given, and print the answer."""
    if provider not in provider_names():
        raise typer.BadParameter(f"{file}: no provider is called {provider}; name one with --provider")
    secret = target.secret(provider, connection)
    try:
        body = with_fresh_ids(file.read_bytes(), suffix) if suffix else file.read_bytes()
        sent, headers = signed_delivery(provider, body, secret, int(time.time()))
    except (ValueError, KeyError, TypeError):
        raise typer.BadParameter(f"{file}: not an event of {provider} that can be signed") from None
    url = f"{target.webhooks}/webhooks/{provider}/{connection}"
    answer = httpx.post(url, content=sent, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
    typer.echo(f"{file}: {answer.status_code} {answer.text.strip()}")
    return answer
