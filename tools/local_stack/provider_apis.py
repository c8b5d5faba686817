"""The stand-ins of providers' APIs as a child process, for as long as the stack runs."""

from __future__ import annotations

import json
import os
import secrets
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.local_stack.process import process_group
from tools.local_stack.sam import BUILD, ROOT, tail
from tools.waiting import WaitedTooLongError, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

_START_TIMEOUT_S = 20


class ProviderApisError(Exception):
    """They did not start. The message says why."""


@dataclass(frozen=True, slots=True)
class ProviderApis:
    """Where they are, and the key that all of them take."""

    url: str
    api_key: str = field(repr=False)

    def base_url(self, provider: str) -> str:
        """What stands in for the provider's own address."""
        return f"{self.url}/{provider}/"


@contextmanager
def provider_apis(host: str) -> Iterator[ProviderApis]:
    """Run them on a free port of `host` and give them once they answer. Raises `ProviderApisError`."""
    api_key = f"api_{secrets.token_hex(16)}"
    command = [sys.executable, "-m", "tools.provider_apis", "--host", host, "--api-key", api_key]
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / f"provider-apis-{secrets.token_hex(3)}.log"
    with log.open("w") as output, process_group(command, env=dict(os.environ), output=output, cwd=ROOT) as process:
        try:
            url = wait_for("the providers' APIs to start", lambda: _announced(process, log), seconds=_START_TIMEOUT_S)
        except WaitedTooLongError as error:
            raise ProviderApisError(str(error)) from error
        yield ProviderApis(url, api_key)
    log.unlink()


def _announced(process: subprocess.Popen[bytes], log: Path) -> str | None:
    """The address in the first line that they print."""
    if process.poll() is not None:
        raise ProviderApisError(f"the providers' APIs ended at once: {tail(log)}")
    line, newline, _ = log.read_text(encoding="utf-8").partition("\n")
    return str(json.loads(line)["url"]) if newline else None
