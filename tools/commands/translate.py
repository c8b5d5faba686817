"""`quittance translate`: what payloads mean, without sending them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from quittance.explanation import in_print
from quittance.providers import provider_names
from tools.commands.options import AsJson, Connection
from tools.translate import translated


def translate(
    provider: Annotated[str, typer.Argument(help="Whose payloads they are.")],
    files: Annotated[list[Path], typer.Argument(help="Payloads.")],
    connection: Connection = "default",
    as_json: AsJson = False,
) -> None:
    """Show the facts that payloads state. Fails if one of them cannot be understood."""
    if provider not in provider_names():
        raise typer.BadParameter(f"no provider is called {provider}; there are {', '.join(provider_names())}")
    lines = [translated(provider, file, connection) for file in files]
    for line in lines:
        typer.echo(json.dumps(line, ensure_ascii=False) if as_json else _as_text(line))
    raise typer.Exit(1 if any(line["error"] for line in lines) else 0)


def _as_text(line: dict[str, Any]) -> str:
    meaning = [f"{fact['type']} {fact['key']} {in_print(fact['amount'])}".strip() for fact in line["facts"]]
    meaning += [f"fetch {reference['object']} {reference['id']}" for reference in line["fetch"]]
    if sighting := line.get("sighting"):
        meaning.append(f"{sighting['event_type']} shows {sighting['document_id']}")
    if line["ignored"]:
        meaning.append(f"ignored: {line['ignored']}")
    if line["error"]:
        meaning.append(f"error: {line['error']}")
    return f"{line['file']}: " + "; ".join(meaning)
