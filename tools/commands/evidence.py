"""`quittance evidence`: what an auditor is given, and what keeps it true."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from quittance.journal.chains import Journal
from quittance.journal.recording import OF_CUSTOMER, Recorder, account_chain
from quittance.ledger import Ledger
from quittance.registration import read_customer
from quittance.runtime.journal import S3Anchors, new_secret
from quittance.runtime.table import DynamoTable
from tools.commands.options import AsJson, Stack
from tools.evidence.comparison import Comparison, found, items_of, names_in, standing
from tools.evidence.erasure import Erasure
from tools.evidence.export import Period
from tools.evidence.export import export as export_archive
from tools.evidence.keys import SETTING, add_key, keys_of
from tools.target import Target, TargetError, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quittance.journal.chains import Head
    from tools.evidence.comparison import Deviation

evidence = typer.Typer(
    no_args_is_help=True, help="Export the evidence journal, check the ledger against it, erase personal data."
)

_POLL_S = 0.5
_SHOWN = 50


@evidence.command()
def export(
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, in UTC.")],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day, in UTC, included.")],
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="ZIP file to write.")],
    business_customer: Annotated[str | None, typer.Option(help="Only this one; all of them if not given.")] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Write an archive of all that was entered in a period, with anchors and a verifier that needs nothing but Python.

    Whoever gets it runs `python3 verify_evidence.py FILE`.
    """
    period = _period(start.date(), end.date())
    with chosen(stack) as target, Progress(disable=as_json) as progress:
        journal = _journal(target)
        heads = _heads_of(target, journal, business_customer) if business_customer else journal.heads()
        exported = export_archive(
            journal,
            S3Anchors(target.client("s3"), target.output("AnchorsBucketName")),
            period,
            output,
            business_customer=business_customer,
            heads=heads,
            progress=lambda chain, count: progress.console.print(f"{chain}: {count:,} entries", highlight=False),
        )
    if as_json:
        told = {"file": str(output), "from": period.start, "to": period.end, "chains": [asdict(one) for one in exported]}
        typer.echo(json.dumps(told, ensure_ascii=False))
    elif exported:
        typer.echo(f"{output}: {len(exported)} chains; verify with `python3 tools/verify_evidence.py {output}`")
    else:
        typer.echo(f"{output}: nothing was entered in this period")


def _period(start: date, end: date) -> Period:
    if end < start:
        raise typer.BadParameter(f"{end} is before {start}", param_hint="--to")
    return Period(f"{start.isoformat()}T00:00:00Z", f"{(end + timedelta(days=1)).isoformat()}T00:00:00Z")


def _heads_of(target: Target, journal: Journal, business_customer: str) -> list[Head]:
    """The customer's chain, and those of its accounts from before they were registered."""
    customer = read_customer(target.ledger.table, business_customer)
    accounts = customer.accounts if customer else ()
    chains = dict.fromkeys((OF_CUSTOMER + business_customer, *(account_chain(one.provider, one.account) for one in accounts)))
    heads = [head for head in map(journal.head, chains) if head.sequence]
    if not heads:
        raise TargetError(f"the journal knows no business customer {business_customer}")
    return heads


@evidence.command()
def check(
    append: Annotated[bool, typer.Option("--append", help="Enter what was not entered or differs, marked as caught up.")] = False,
    grace: Annotated[float, typer.Option(min=0, help="Seconds given to what is on its way into the journal.")] = 30,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Compare every item of the ledger with its last entry. Fails if one was never entered, differs, or is gone.

    Look at what differs before you use --append: it takes the ledger for right.
    """
    with chosen(stack) as target:
        journal, ledger = _journal(target), target.ledger.table
        comparison = Comparison(ledger, journal, keys_of(target))
        left = standing(comparison, _deviations(target, comparison), wait=_until(grace))
        if append and left:
            recorder = Recorder(ledger, journal)
            recorder.record(found(one.pk, one.sk, ledger.read(one.pk, one.sk), _now()) for one in left)
    _print_deviations(left, as_json=as_json)
    raise typer.Exit(1 if left else 0)


def _deviations(target: Target, comparison: Comparison) -> Iterator[Deviation]:
    client = target.client("dynamodb")
    for item in items_of(client, target.output("TableName")):
        if deviation := comparison.of_item(item["pk"], item["sk"], item):
            yield deviation
    ledger = target.ledger.table
    for pk, sk in names_in(client, target.output("JournalTableName")):
        if ledger.read(pk, sk) is None and (deviation := comparison.of_item(pk, sk, None)):
            yield deviation


def _print_deviations(left: list[Deviation], *, as_json: bool) -> None:
    if as_json:
        for one in left:
            typer.echo(json.dumps({"pk": one.pk, "sk": one.sk, "what": one.what}, ensure_ascii=False))
        return
    for one in left[:_SHOWN]:
        typer.echo(f"{one.what}: {one.pk} {one.sk}")
    counts = Counter(one.what for one in left)
    typer.echo(", ".join(f"{count} {what}" for what, count in counts.items()) or "the ledger is as it was entered")


@evidence.command()
def erase(
    payment_id: Annotated[str, typer.Argument(help="Payment whose payer is to be forgotten.")],
    provider: Annotated[str, typer.Option(help="Provider of the payment.")],
    account: Annotated[str, typer.Option(help="Provider account, or business customer for platform payments.")],
    by: Annotated[str, typer.Option(help="Who decided it; kept for ever.")],
    reason: Annotated[str, typer.Option(help="Why, such as the number of the request; kept for ever. Name no person.")],
    grace: Annotated[float, typer.Option(min=0, help="Seconds given to what is on its way into the journal.")] = 60,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Erase the payer's personal data from the ledger and the journal. The chain still verifies, and says who erased what.

    The documents in the invoicing API stay: the law asks to keep them.
    """
    with chosen(stack) as target:
        journal, ledger = _journal(target), Ledger(target.ledger.table)
        case = ledger.open(provider, account, (payment_id,), join=False)
        if not case.facts:
            raise TargetError(f"the ledger knows no payment {payment_id} of {account} at {provider}")
        erasure = Erasure(ledger, journal, Comparison(ledger.table, journal, keys_of(target)))
        erased = erasure.erase(case, by=by, reason=reason, wait=_until(grace))
    told = {"payment_id": payment_id, **asdict(erased)}
    typer.echo(
        json.dumps(told, ensure_ascii=False)
        if as_json
        else f"{payment_id}: payer erased from {erased.items} items of the ledger and {erased.entries} entries of the journal"
    )


@evidence.command()
def rotate_key(stack: Stack = None) -> None:
    """Make a new key for entries and anchors, the first one too. It is in use within five minutes; the old ones still verify."""
    with chosen(stack) as target:
        typer.echo(f"key {add_key(target)} is in use from now on")


@evidence.command()
def keys(
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="File to write; it must not exist.")],
    stack: Stack = None,
) -> None:
    """Save the keys for `verify_evidence.py --key-file`.

    Who has them, and the tables, can forge entries that are not anchored yet: keep them safe.
    """
    with chosen(stack) as target:
        text = target.setting(SETTING)
    with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text.strip() + "\n")
    typer.echo(f"{output}")


def _journal(target: Target) -> Journal:
    table = DynamoTable(target.output("JournalTableName"), target.client("dynamodb"))
    return Journal(table, keys=cache(lambda: keys_of(target)), now=_now, new_secret=new_secret)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _until(seconds: float) -> Callable[[], bool]:
    """Waits a little each time it is called, until so many seconds are over: False from then on."""
    deadline = time.monotonic() + seconds

    def wait() -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(_POLL_S, left))
        return True

    return wait
