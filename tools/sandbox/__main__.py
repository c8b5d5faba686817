"""Runs the sandbox: `python -m tools.sandbox --port 0` prints `{"url": "..."}` on one line when it can be reached."""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import sys

from tools.sandbox.model import Sandbox
from tools.sandbox.server import build_server, listen, url_of
from tools.sandbox.settings import Settings
from tools.sandbox.sources import Identifiers, wall_clock


def main() -> None:
    """Parses the command line and serves until interrupted."""
    arguments = _parser().parse_args()
    sandbox = Sandbox(
        clock=wall_clock,
        ids=Identifiers(wall_clock, seed=secrets.token_hex(16)),
        settings=_settings(arguments),
        webhook_time_scale=arguments.webhook_time_scale,
    )
    try:
        listener = listen(arguments.host, arguments.port)
    except OSError as error:
        sys.exit(f"cannot listen on {arguments.host}:{arguments.port}: {error.strerror}")
    sys.stdout.write(json.dumps({"url": url_of(listener)}) + "\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        build_server(sandbox).run(sockets=[listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.sandbox", description="Space Invoices sandbox for development")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--api-key", help="accept only this key; else any key of the form sk_sandbox_... or sk_live_...")
    parser.add_argument("--rate-limit", type=int, metavar="N", help="requests a minute; 0: none; default 60, live 600")
    parser.add_argument("--idempotency-header", choices=Settings().idempotency_headers, help="honour only this header")
    parser.add_argument("--metadata-query", choices=Settings().metadata_queries, help="filter only by this spelling")
    parser.add_argument("--accept-overpayment", action="store_true")
    parser.add_argument("--refuse-overcredit", action="store_true")
    parser.add_argument("--apply-linked-credit", action="store_true")
    parser.add_argument("--accept-future-dates", action="store_true")
    parser.add_argument("--https-webhooks-only", action="store_true", help="refuse endpoints on this machine without HTTPS")
    parser.add_argument("--webhook-time-scale", type=float, default=1.0, help="factor on the waiting times of the retry table")
    return parser


def _settings(arguments: argparse.Namespace) -> Settings:
    defaults = Settings()
    return Settings(
        api_key=arguments.api_key,
        rate_limits=_rate_limits(arguments.rate_limit),
        idempotency_headers=(arguments.idempotency_header,) if arguments.idempotency_header else defaults.idempotency_headers,
        metadata_queries=(arguments.metadata_query,) if arguments.metadata_query else defaults.metadata_queries,
        accept_overpayment=arguments.accept_overpayment,
        accept_overcredit=not arguments.refuse_overcredit,
        apply_linked_credit=arguments.apply_linked_credit,
        accept_future_dates=arguments.accept_future_dates,
        plain_http_webhooks=not arguments.https_webhooks_only,
    )


def _rate_limits(limit: int | None) -> dict[str, int] | None:
    if limit is None:
        return Settings().rate_limits
    return {"sandbox": limit, "live": limit} if limit else None


if __name__ == "__main__":
    main()
