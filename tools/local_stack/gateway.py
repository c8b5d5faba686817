"""The emulator with the API at the root of its address, as a custom domain has it in AWS.

Run as a script by the emulator's own Python, which has nothing of this project installed. It ends with whoever started it: when
its standard input closes it ends its process group, so that nothing is left behind even when that process was killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

from ministack import app as ministack
from ministack.core import iam_actions

_API = f"/_aws/execute-api/{os.environ.pop('QUITTANCE_API')}"
_OWN_PATHS = ("/health", "/webhooks/", "/operations/")
_SIGNED_PATHS = ("/operations/",)
_emulator = ministack.app
_action_of = iam_actions.extract_iam_action
_resource_of = iam_actions.extract_resource_arn


async def _app(scope: dict[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's callables, handed on as they are
    if scope["type"] == "http" and scope["path"].startswith(_OWN_PATHS):
        # A signature covers the path that its sender knows, which is the raw one to the emulator.
        raw_path = scope["raw_path"] if scope["path"].startswith(_SIGNED_PATHS) else _API.encode() + scope["raw_path"]
        scope = {**scope, "path": _API + scope["path"], "raw_path": raw_path}
    await _emulator(scope, receive, send)


def _resource_as_in_aws(
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    *rest: Any,  # noqa: ANN401 - the emulator's own, handed on as they are
) -> str:
    """AWS asks for permission to each parameter of a GetParameters; the emulator, for permission to all there are."""
    if service == "ssm" and headers.get("x-amz-target", "").endswith(".GetParameters"):
        body = json.dumps({"Name": json.loads(body)["Names"][0]}).encode()
    return str(_resource_of(service, method, path, headers, body, *rest))


def _action_as_in_aws(service: str, *request: Any) -> str | None:  # noqa: ANN401 - the emulator's own, handed on as they are
    """AWS has no permissions of their own for batches of messages: who may send one may send many."""
    action: str | None = _action_of(service, *request)
    return action.removesuffix("Batch") if action and service == "sqs" else action


def _end_with_parent() -> None:
    sys.stdin.read()
    # The functions' files may be in memory, which nobody would give back; they are removed when nothing writes them any more.
    clean_up = 'while kill -0 "$0" 2>/dev/null; do sleep 0.1; done; rm -rf "$1"'
    subprocess.Popen(["sh", "-c", clean_up, str(os.getpid()), os.environ["TMPDIR"]], start_new_session=True)  # noqa: S603, S607
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    iam_actions.extract_iam_action = _action_as_in_aws
    iam_actions.extract_resource_arn = _resource_as_in_aws
    ministack.app = _app
    ministack.main()
