"""The `quittance` command. It acts on the local stack that `make local` runs, or on a deployed one with `--stack NAME`.

Exit codes: 0 for success, 1 when the answer is "no" or the stack cannot be used, 2 for a wrong command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from quittance.errors import QuittanceError
from tools.commands.acknowledge import acknowledge
from tools.commands.backfill import backfill
from tools.commands.evidence import evidence
from tools.commands.explain import explain
from tools.commands.findings import findings
from tools.commands.payouts import payouts
from tools.commands.pdf import pdf
from tools.commands.policy import policy
from tools.commands.reconcile import reconcile
from tools.commands.redrive import redrive
from tools.commands.replay import replay
from tools.commands.send import send
from tools.commands.translate import translate
from tools.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable


class _OneLineErrors(TyperGroup):
    """Failures outside of our control end in one line, not in a traceback."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as the base class has it
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # whoever read the output has seen enough
        except (TargetError, QuittanceError, httpx.HTTPError, BotoCoreError, ClientError, OSError) as error:
            typer.echo(f"quittance: {str(error) or type(error).__name__}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Every payment gets exactly the papers it should have.",
)

_COMMANDS: tuple[Callable[..., None], ...] = (
    send,
    translate,
    explain,
    findings,
    acknowledge,
    reconcile,
    redrive,
    backfill,
    replay,
    payouts,
    pdf,
)
for _command in _COMMANDS:
    app.command()(_command)
app.add_typer(policy, name="policy")
app.add_typer(evidence, name="evidence")

if __name__ == "__main__":
    app(prog_name="quittance")
