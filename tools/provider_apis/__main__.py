"""Serves every stand-in, each below its provider's name: `python -m tools.provider_apis` prints `{"url": "..."}` when it can."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from quittance.runtime.published import ROOTS_PATH
from tools.paypal_authority import PATH, authority
from tools.provider_apis.stand_in import EVENTS, STAND_INS, answered
from tools.sandbox.server import listen, url_of

if TYPE_CHECKING:
    from starlette.requests import Request


def application(api_key: str) -> Starlette:
    """The stand-ins over HTTP, for whoever holds `api_key`."""
    stand_ins = {name: make(EVENTS / name) for name, make in STAND_INS.items()}

    def get(request: Request) -> Response:
        stand_in = stand_ins.get(request.path_params["provider"])
        if stand_in is None:
            return Response(status_code=404)
        path = request.path_params["path"].strip("/")
        answer = answered(stand_in, api_key, path, dict(request.query_params), dict(request.headers))
        return Response(answer.body, answer.status, media_type="application/json")

    return Starlette(routes=[Route("/paypal/{path:path}", _certificate), Route("/{provider}/{path:path}", get)])


def _certificate(request: Request) -> Response:
    """What is signed in PayPal's name is verified with this one. Anybody may read it."""
    pem = {PATH: authority().certificate, ROOTS_PATH: authority().root}.get(f"/{request.path_params['path']}")
    return Response(pem, media_type="application/x-pem-file") if pem else Response(status_code=404)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tools.provider_apis", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--api-key", required=True)
    chosen = parser.parse_args()
    try:
        listener = listen(chosen.host, chosen.port)
    except OSError as error:
        sys.exit(f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror}")
    sys.stdout.write(json.dumps({"url": url_of(listener)}) + "\n")
    sys.stdout.flush()
    config = uvicorn.Config(application(chosen.api_key), log_level="warning", access_log=False)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
