"""What AWS asks for a thousand payments, by list prices, from the calls, the processor time and the memory that were measured.

What a function waits for others cannot be measured here, so it is assumed: `prices.toml` has it beside the prices.
"""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.figures import Figure, Measured, Unavailable
from tools.local_stack import sam

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PRICES = Path(__file__).with_name("prices.toml")
NEEDED = ("events", "functions")
_PAYMENTS = 1_000
_MB_OF_ONE_PROCESSOR = 1_769
"""Lambda gives processor time in proportion to memory: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html."""
_PAID = "payment.succeeded (paid)"
_ENTRANCE, _WORKER, _RECORDER = "Ingest", "PaymentSucceeded", "EvidenceRecorded"
_QUEUE_REQUESTS = 3
"""Of a message: it is sent, received and deleted."""
_EXTRA_DOCUMENTS = 250

Prices = dict[str, Any]


def measure(*, quick: bool, known: Mapping[str, Any]) -> Measured:  # noqa: ARG001 - nothing is measured anew
    """Dollars for a thousand payments by service, and beside them the price of the alternative."""
    if lacking := [name for name in NEEDED if name not in known]:
        raise Unavailable(f"{' and '.join(lacking)} must be measured first")
    prices = tomllib.loads(PRICES.read_text(encoding="utf-8"))
    paid = known["events"]["per_event"][_PAID]
    functions = {row["function"]: row for row in known["functions"]["functions"]}
    services = {name: _PAYMENTS * usd for name, usd in _per_payment(prices, paid, functions).items()}
    total = sum(services.values())
    month = list(_by_month(prices, _resources()))
    extra = prices["quaderno"]["extra_document"]
    of_payments, of_a_month = "AWS list price of 1,000 payments, USD", "AWS list price of a month without payments, USD"
    figures = [
        Figure(of_payments, total).under(of_payments),
        Figure(of_a_month, sum(row["usd"] for row in month)).under(of_a_month),
        Figure(f"Quaderno's price of {_EXTRA_DOCUMENTS} documents beyond a plan, USD", _EXTRA_DOCUMENTS * extra),
        Figure("AWS list price of a payment ÷ Quaderno's of an extra document", total / _PAYMENTS / extra),
    ]
    data = {"usd_per_thousand": services, "usd_per_month": month, "memory": _by_memory(prices, paid, functions)}
    return Measured(figures, data, [_table(services, total)])


def _per_payment(prices: Prices, paid: Mapping[str, float], functions: Mapping[str, Any]) -> dict[str, float]:
    """One payment that is paid, told in one delivery."""
    assumed, table = prices["assumed"], prices["dynamodb"]
    written = paid["write_units"] + paid["index_write_units"]
    journal = 2 * paid["writes"]  # an entry for each change, in a transaction
    seconds = _seconds(functions[_ENTRANCE], assumed["aws_call_ms"])
    gb_seconds = seconds * functions[_ENTRANCE]["memory_mb"] / 1024
    recorder = {**functions[_RECORDER], "cpu_ms": paid["writes"] * functions[_RECORDER]["cpu_ms"]}  # which is of one change
    for function, waits_ms in ((functions[_WORKER], _worker_waits_ms(prices, paid)), (recorder, 3 * assumed["aws_call_ms"])):
        gb_seconds += _seconds(function, waits_ms) * function["memory_mb"] / 1024
    return {
        "API Gateway": prices["api_gateway"]["rest_request"],
        "Lambda": 3 * prices["lambda"]["request"] + gb_seconds * prices["lambda"]["gb_second_arm64"],
        "SQS": _QUEUE_REQUESTS * prices["sqs"]["fifo_request"],
        "DynamoDB, ledger": written * table["write_unit"] + 2 * paid["reads"] * table["read_unit"],
        "DynamoDB, evidence": journal * table["write_unit"],
        "CloudWatch logs": assumed["log_bytes_per_event"] * 3 / 1e9 * prices["cloudwatch"]["logs_gb"],
        "X-Ray": 3 * assumed["traced_share"] * prices["xray"]["trace"],
    }


def _worker_waits_ms(prices: Prices, paid: Mapping[str, float]) -> float:
    assumed = prices["assumed"]
    return float((paid["reads"] + paid["commits"]) * assumed["aws_call_ms"] + paid["requests"] * assumed["invoicing_request_ms"])


def _seconds(function: Mapping[str, Any], waits_ms: float, memory_mb: int = 0) -> float:
    """What an event takes of a function: its processor time, stretched by the share of a processor it has, and its waiting."""
    stretched = function["cpu_ms"] * max(1.0, _MB_OF_ONE_PROCESSOR / (memory_mb or function["memory_mb"]))
    return float(stretched + waits_ms) / 1000


def _by_memory(prices: Prices, paid: Mapping[str, float], functions: Mapping[str, Any]) -> list[dict[str, float]]:
    """What the worker would be with other memory: how long it starts, how long an event takes, what a thousand of them cost."""
    worker, waits = functions[_WORKER], _worker_waits_ms(prices, paid)
    rows = []
    for memory_mb in (128, 256, 512, 1024, _MB_OF_ONE_PROCESSOR):
        seconds = _seconds(worker, waits, memory_mb)
        usd = _PAYMENTS * seconds * memory_mb / 1024 * prices["lambda"]["gb_second_arm64"]
        start_s = worker["init_ms"] * _MB_OF_ONE_PROCESSOR / memory_mb / 1000
        rows.append({"memory_mb": memory_mb, "start_s": start_s, "event_s": seconds, "usd_per_thousand": usd})
    return rows


@cache
def _resources() -> list[dict[str, Any]]:
    """What the template makes by default, as CloudFormation sees it."""
    target = sam.ROOT / "build" / "bench" / "template.json"
    python = sam.ROOT / ".tools" / "sam" / "bin" / "python"
    command = [python, sam.ROOT / "tools" / "plain_template.py", sam.ROOT / "template.yaml", target]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own program
    return [one for one in json.loads(target.read_text())["Resources"].values() if "Condition" not in one]


def _by_month(prices: Prices, resources: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """What stands there costs this much whether or not there are payments."""
    watching, assumed = prices["cloudwatch"], prices["assumed"]
    of = Counter(one["Type"] for one in resources)
    mappings = (one["Properties"] for one in resources if one["Type"] == "AWS::Lambda::EventSourceMapping")
    queues = sum("StartingPosition" not in mapping for mapping in mappings)
    receives = queues * assumed["receives_per_queue_and_month"]
    for what, count, usd in (
        ("alarms", of["AWS::CloudWatch::Alarm"], watching["alarm_month"]),
        ("dashboard", of["AWS::CloudWatch::Dashboard"], watching["dashboard_month"]),
        ("metrics of a provider in full use", assumed["metrics_of_a_provider"], watching["metric_month"]),
        ("encryption key", of["AWS::KMS::Key"], prices["kms"]["key_month"]),
        ("looks into idle queues, by Lambda", receives, prices["sqs"]["fifo_request"]),
    ):
        yield {"what": what, "count": count, "usd": count * usd}


def _table(services: Mapping[str, float], total: float) -> Table:
    table = Table("service", title="AWS list price of 1,000 payments", title_justify="left")
    table.add_column("USD", justify="right")
    for name, usd in services.items():
        table.add_row(name, f"{usd:.5f}")
    table.add_row("all", f"{total:.5f}")
    return table
