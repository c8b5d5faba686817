"""`quittance acknowledge`: a finding that somebody has dealt with."""

from __future__ import annotations

import getpass
import time
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from quittance import acknowledgements
from quittance.acknowledgements import REASON_MAX, Acknowledgement
from quittance.errors import Reject
from quittance.explanation import in_print
from quittance.operations.pages import keys_of
from tools.commands.options import Stack
from tools.target import chosen

if TYPE_CHECKING:
    from quittance.storage import Keys
    from tools.target import Target


def acknowledge(
    finding_id: Annotated[str, typer.Argument(metavar="ID", help="As `quittance findings` shows it at the end of a line.")],
    *,
    reason: Annotated[str, typer.Option(help=f"Why nothing more is to be done, in at most {REASON_MAX} characters.")] = "",
    take_back: Annotated[bool, typer.Option("--take-back", help="Let the finding be open again.")] = False,
    stack: Stack = None,
) -> None:
    """Let a finding count as dealt with, for as long as it says the same.

    It is open again once its amount or detail is another one, or when it comes back after it was gone. Who acknowledged it, when
    and why is kept with it and entered in the journal.
    """
    if take_back is bool(reason):
        raise typer.BadParameter("give either --reason or --take-back")
    if len(reason) > REASON_MAX:
        raise typer.BadParameter(f"a reason has at most {REASON_MAX} characters", param_hint="--reason")
    with chosen(stack) as target:
        table, keys, by, now = target.ledger.table, _keys(finding_id), _caller(target), int(time.time())
        if take_back:
            acknowledgements.take_back(table, keys, by, now)
            typer.echo(f"taken back by {by}")
        else:
            item = acknowledgements.acknowledge(table, keys, Acknowledgement(now, by, reason))
            # As it stands now, which may not be what was listed a while ago.
            typer.echo(f"acknowledged by {by}: {item['code']}  {item['subject']}  {in_print(item.get('amount'))}".rstrip())


def _keys(finding_id: str) -> Keys:
    try:
        return keys_of(finding_id)
    except Reject:
        raise typer.BadParameter("is none that `quittance findings` shows", param_hint="ID") from None


def _caller(target: Target) -> str:
    """Who it is to AWS; the login name where AWS does not say."""
    try:
        return str(target.client("sts").get_caller_identity()["Arn"])
    except (BotoCoreError, ClientError):
        return getpass.getuser()
