"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Stack = Annotated[str | None, typer.Option("--stack", help="Deployed stack to act on; the running local stack if not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Connection = Annotated[str, typer.Option(help="Configured endpoint of the provider.")]
