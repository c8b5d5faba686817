"""`make local`: the local stack in the foreground until Ctrl-C.

Environment: `QUITTANCE_PORT` (default 3000); `SPACE_INVOICES_BASE_URL` and `SPACE_INVOICES_API_KEY` for another invoicing
server than the embedded sandbox.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from tools.invoicing_server import InvoicingServerError, invoicing_server
from tools.local_stack import LocalStack, LocalStackError
from tools.signals import unwind_when_stopped
from tools.target import LOCAL_DESCRIPTION
from tools.waiting import WaitedTooLongError

if TYPE_CHECKING:
    from tools.invoicing_server import InvoicingServer

DEFAULT_PORT = 3000


def main() -> int:
    """Serve until interrupted. Returns 0 when it was asked to stop, 1 when it could not start."""
    console = Console(highlight=False)
    unwind_when_stopped()
    try:
        with (
            invoicing_server() as server,
            LocalStack(
                space_invoices_url=server.url,
                space_invoices_api_key=server.api_key,
                requests_per_minute=server.requests_per_minute,
                port=_port(),
                progress=console.print,
            ) as stack,
        ):
            stack.write_local_json()
            _introduce(console, stack, server)
            signal.pause()
    except (LocalStackError, InvoicingServerError, WaitedTooLongError) as error:
        console.print(f"[bold red]FAILED[/bold red]: {error}", soft_wrap=True)
        return 1
    except (KeyboardInterrupt, SystemExit):
        console.print("stopped")
    return 0


def _port() -> int:
    asked = os.environ.get("QUITTANCE_PORT") or str(DEFAULT_PORT)
    if not asked.isdecimal():
        raise LocalStackError(f"QUITTANCE_PORT is no port: {asked}")
    return int(asked)


def _introduce(console: Console, stack: LocalStack, server: InvoicingServer) -> None:
    kind = "embedded sandbox" if server.is_embedded else "from the environment"
    console.print(
        f"[bold]ready[/bold]\n"
        f"  webhooks         {stack.webhooks_url}/webhooks/{{provider}}/default\n"
        f"  health           {stack.webhooks_url}/health\n"
        f"  AWS emulator     {stack.aws_endpoint_url}\n"
        f"  invoicing API    {server.url} ({kind})\n"
        f"  everything else  {LOCAL_DESCRIPTION}\n"
        "  try              .venv/bin/quittance send events/platform/{business_customer.created,payment.succeeded}.json\n"
        "Ctrl-C stops it.",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
