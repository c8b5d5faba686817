"""Structured logs and metrics. Only keys on the list reach a log: a new one is a decision, not an accident."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

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
    _put(metric, value, {}, {"provider": provider, "event_type": event_type})


def level(metric: str, value: int, severity: str = "") -> None:
    """Put how much of something there is now: the newest value counts, and values are never added up.

    For the whole service, and where `severity` is given for that severity only: a closed set, like all dimensions.
    """
    _put(metric, value, {"severity": severity} if severity else {})


def _put(metric: str, value: int, *sets: dict[str, str]) -> None:
    """The value under each set of dimensions besides the service."""
    service = os.environ.get("POWERTOOLS_SERVICE_NAME", "quittance")
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=service)
    metrics.add_metric(name=metric, unit=MetricUnit.Count, value=value)
    first, *others = sets
    for name, dimension in {"service": service, **first}.items():
        metrics.add_dimension(name=name, value=dimension)
    for dimensions in others:
        metrics.add_dimensions(service=service, **dimensions)
    metrics.flush_metrics()
