"""The invoicing server that a local stack talks to: the one the environment names, else the embedded sandbox."""

from __future__ import annotations

import json
import os
import secrets
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.local_stack.process import process_group
from tools.local_stack.sam import ROOT
from tools.waiting import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

LOGS = ROOT / "build" / "logs"
_START_TIMEOUT_S = 20
_REQUESTS_A_MINUTE = 600
"""What the real API allows a live key."""


class InvoicingServerError(Exception):
    """There is no invoicing server to talk to. The message is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class InvoicingServer:
    """Where it is and the key to use."""

    url: str
    api_key: str = field(repr=False)
    is_embedded: bool

    @property
    def requests_per_minute(self) -> int:
        """What it allows; 0 for what the API's documentation says."""
        return _REQUESTS_A_MINUTE if self.is_embedded else 0


@contextmanager
def invoicing_server() -> Iterator[InvoicingServer]:
    """The server of `SPACE_INVOICES_BASE_URL` and `SPACE_INVOICES_API_KEY`, or a sandbox that lasts as long as the block.

    Raises `InvoicingServerError`.
    """
    url, api_key = os.environ.get("SPACE_INVOICES_BASE_URL"), os.environ.get("SPACE_INVOICES_API_KEY")
    if url and api_key:
        yield InvoicingServer(url.rstrip("/"), api_key, is_embedded=False)
    elif url or api_key:
        raise InvoicingServerError("SPACE_INVOICES_BASE_URL and SPACE_INVOICES_API_KEY belong together: set both or neither")
    else:
        with sandbox() as server:
            yield server


@contextmanager
def sandbox(*options: str) -> Iterator[InvoicingServer]:
    """The embedded sandbox on a free port; `options` as `python -m tools.sandbox --help` lists them."""
    api_key = f"sk_sandbox_{secrets.token_hex(16)}"
    host = os.environ.get("QUITTANCE_HOST") or "127.0.0.1"
    defaults = ["--host", host, "--api-key", api_key, "--rate-limit", str(_REQUESTS_A_MINUTE)]
    command = [sys.executable, "-m", "tools.sandbox", *defaults, *options]
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"sandbox-{secrets.token_hex(3)}.log"
    with log.open("w") as output, process_group(command, env=dict(os.environ), output=output, cwd=ROOT) as process:
        url = wait_for("the sandbox to start", lambda: _announced(process, log), seconds=_START_TIMEOUT_S)
        yield InvoicingServer(url, api_key, is_embedded=True)
    log.unlink()


def _announced(process: subprocess.Popen[bytes], log: Path) -> str | None:
    """The address in the first line that the sandbox prints."""
    if process.poll() is not None:
        raise InvoicingServerError(f"the sandbox ended at once, see {log.relative_to(ROOT)}")
    line, newline, _ = log.read_text(encoding="utf-8").partition("\n")
    return str(json.loads(line)["url"]) if newline else None
