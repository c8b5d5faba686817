"""Structured logs and metrics. Only keys on the list reach a log: a new one is a decision, not an accident."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

NAMESPACE = "Quittance"

LOGGABLE = frozenset(
    {
        # written by the formatter
        "level",
        "location",
        "timestamp",
        "service",
        "message",
        "sampling_rate",
        "xray_trace_id",
        "exception_name",
        "stack_trace",
        # whose log line it is
        "correlation_id",
        "request_id",
        "message_id",
        "function",
        # what it is about
        "provider",
        "connection",
        "account",
        "business_customer",
        "event_id",
        "event_type",
        "payment_id",
        "fact",
        "facts",
        "document",
        "document_key",
        "entity_id",
        # how it went
        "code",
        "method",
        "route",
        "api_request_id",
        "status",
        "reason",
        "attempt",
        "delay_s",
        "duration_ms",
        "count",
    }
)
"""Every key that may appear in a log line. None of them holds bodies, headers, secrets or personal data."""


class AllowListFormatter(LambdaPowertoolsFormatter):
    """JSON lines of the keys in `LOGGABLE`. Of an exception it keeps the class and where it was raised.

    The text of an exception may quote its input, so it is left out, as are the source lines.
    """

    def serialize(self, log: dict[str, Any]) -> str:  # type: ignore[override]
        """The JSON line. Powertools annotates `log` as a record, but passes the dictionary of keys."""
        kept = {key: value for key, value in log.items() if key in LOGGABLE}
        if stack := kept.get("stack_trace"):
            kept["stack_trace"] = [f"{frame['file']}:{frame['line']} {frame['function']}" for frame in stack["frames"]]
        return super().serialize(kept)


logger = Logger(logger_formatter=AllowListFormatter(utc=True, use_rfc3339=True))
"""The logger of this function. Messages are constant text; what varies goes into `extra`, under keys in `LOGGABLE`."""


def count(metric: str, *, provider: str, event_type: str, value: int = 1) -> None:
    """Add `value` to `metric`, once for the whole service, which alarms look at, and once by provider and type.

    Both must come from closed sets, because every new value is a metric to pay for.
    """
    dimensions = _service() | {"provider": provider, "event_type": event_type}
    _emit(metric, value, dimensions, ["service"], [*dimensions])


def level(metric: str, value: int, severity: str = "") -> None:
    """Put how much of something there is now: the newest value counts, and values are never added up.

    For the whole service, and where `severity` is given for that severity only: a closed set, like all dimensions.
    """
    dimensions = _service() | ({"severity": severity} if severity else {})
    _emit(metric, value, dimensions, [*dimensions])


def _service() -> dict[str, str]:
    return {"service": os.environ.get("POWERTOOLS_SERVICE_NAME", "quittance")}


def _emit(metric: str, value: int, dimensions: dict[str, str], *sets: list[str]) -> None:
    """One line in CloudWatch's embedded metric format. Powertools' own takes ten times as long, several times per event."""
    put = {"Namespace": NAMESPACE, "Dimensions": sets, "Metrics": [{"Name": metric, "Unit": "Count"}]}
    line = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [put]}, **dimensions, metric: [value]}
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
