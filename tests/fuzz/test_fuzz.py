"""The fuzzer itself: the ingress holds, every kind of input is tried, and a mistake in the ingress is reported."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from quittance.facts import INTERNAL_TYPES
from quittance.providers import payload, platform, provider_names
from quittance.runtime.observability import logger
from quittance.runtime.queues import FUNCTION_OF
from tests.fuzz import __main__ as command
from tests.fuzz.aws import Sqs
from tests.fuzz.corpus import MARKER, Sample, corpus, pools
from tests.fuzz.deliveries import _MAKERS, _delivery, request
from tests.fuzz.ingress import URLS, Ingress
from tests.fuzz.oracle import violations
from tests.fuzz.run import BLOCKS_MAX, BYTES_MAX, CHUNK, Memory, Tally, fuzzed, grown, memory_faults, run
from tests.fuzz.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.run import Result

SEEDS = range(1, 2001)


@pytest.fixture(scope="module", autouse=True)
def _unrecorded() -> Iterator[None]:
    """Pytest keeps what is logged, which would be a leak of its own."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(logger._logger, "propagate", False)
        yield


@pytest.fixture(scope="module")
def result() -> Result:
    return run(SEEDS, jobs=1)


@pytest.fixture(scope="module")
def workers() -> Workers:
    return Workers()


def test_the_ingress_holds(result: Result) -> None:
    assert (result.failures, result.memory) == ([], [])


def test_every_kind_of_input_and_every_answer_comes_up(result: Result) -> None:
    assert {status for _, status in result.answers} == {200, 400, 401, 404, 413, 503}
    assert len({kind for kind, _ in result.answers}) >= len(_MAKERS)
    reported = {function for kind, function in FUNCTION_OF.items() if kind not in INTERNAL_TYPES}
    assert set(result.messages) >= {*reported, "object_fetched", "document_changed", "event_ignored"}


def test_most_inputs_get_past_the_signature(result: Result) -> None:
    past = sum(number for (_, status), number in result.answers.items() if status in {200, 400})
    accepted = result.answers["mutated", 200]
    assert past > len(SEEDS) * 0.7
    assert accepted > len(SEEDS) * 0.2


@pytest.mark.parametrize("name", provider_names())
def test_every_provider_is_tried_with_a_signature(name: str, workers: Workers) -> None:
    sample = next(sample for sample in corpus() if sample.provider == name and sample.is_own)
    asked = _delivery(random.Random(1), "untouched", sample, sample.body)  # noqa: S311 - it must repeat itself
    outcome, faults = violations(1, asked, Ingress(), workers)
    assert (outcome.response["statusCode"], faults, asked.is_genuine) == (200, [], True)


def test_a_seed_is_the_same_input_every_time() -> None:
    assert [request(seed) for seed in range(1, 101)] == [request(seed) for seed in range(1, 101)]
    assert len({request(seed).raw for seed in range(1, 101)}) > 60


def test_the_payloads_hold_marked_texts() -> None:
    assert sum(MARKER.encode() in sample.body for sample in corpus()) > 20
    assert {"time", "created", "amount", "currency", "business_customer"} <= set(pools().values)


# --- mistakes in the ingress

_KEEPS = 'ROUTE_UNKNOWN = "route_unknown"'
_READS = "    raw = _raw_body(event)\n"
_RECORDS = "        accepted(name, chosen, told)\n"
_SENDS = 'strftime("%Y-%m-%dT%H:%M:%SZ")))'
_VERIFIES = "_verify(chosen, raw, _headers(event), connection, (name, connection_name))"

PLANTED: dict[str, tuple[dict[str, str], str]] = {
    "raises": ({"_STATUS_OF.get(rejected.code, 400)": "_STATUS_OF[rejected.code]"}, "raised KeyError"),
    "answers 500 to bad input": ({"_STATUS_OF.get(rejected.code, 400)": "500"}, "answered 500"),
    "answers 503 to bad input": ({"except (binascii.Error, ValueError):": "except binascii.Error:"}, "answered 503"),
    "answers no proxy response": ({'"statusCode": status, ': '"statusCode": str(status), '}, "not a proxy response"),
    "loses every message": ({_SENDS: _SENDS[:-1] + "[1:])"}, "not those of the delivery"),
    "queues what it refuses": ({"raise Reject(ROUTE_UNKNOWN)": 'return _receive("stripe", "default", event)'}, "answered"),
    "does not verify": ({_VERIFIES: "_headers(event)"}, "answered 200"),
    "verifies and forgets": ({"raise Reject(BODY_TOO_LARGE)": "pass"}, "not [413]"),
    "logs the body": ({_RECORDS: _RECORDS + "    logger.info(raw.decode())\n"}, "what a payload says of people"),
    "prints the headers": ({_READS: _READS + "    print(_headers(event))\n"}, "a signature was written"),
    "repeats the body": (
        {"return _response(answer.status, answer.body,": "return _response(answer.status, event['body'],"},
        "repeats",
    ),
    "is not the same twice": ({'"body": body,': '"body": body + " " * (os.urandom(1)[0] % 2),'}, "the same input twice"),
    "acknowledges what it cannot queue": (
        {"return _refusal(503, unavailable)": "return _response(200, '{}')"},
        "while the queues",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_mistake_is_reported(name: str, workers: Workers) -> None:
    replacements, reported = PLANTED[name]
    ingress = Ingress(replacements)
    for seed in SEEDS:
        _, faults = violations(seed, request(seed), ingress, workers)
        if any(reported in fault for fault in faults):
            return
    pytest.fail("nothing reports it")


@pytest.mark.parametrize("kept", ["json.loads(json.dumps(event))", "raw * 60"], ids=["objects", "bytes"])
def test_a_leak_is_reported(kept: str, workers: Workers) -> None:
    ingress = Ingress({_KEEPS: f"{_KEEPS}\nkept = []", _READS: f"{_READS}    kept.append({kept})\n"})
    tallies = [fuzzed(range(first, first + CHUNK), ingress, workers) for first in range(1, 2001, CHUNK)]
    assert memory_faults(grown(tallies)) != []


def test_the_bounds_of_memory_are_what_they_say() -> None:
    assert memory_faults(Memory(BLOCKS_MAX, BYTES_MAX)) == []
    assert len(memory_faults(Memory(BLOCKS_MAX + 1, BYTES_MAX + 1))) == 2
    held = [Tally(process, CHUNK, held=Memory(blocks, 0)) for blocks in (10, 100, 101) for process in (1, 2)]
    assert grown(held) == Memory(1, 0)


def test_a_source_that_has_changed_is_an_error() -> None:
    with pytest.raises(ValueError, match="is there 0 times"):
        Ingress({"no such text": ""})


# --- mistakes in the providers that only a worker would meet


def changed(**values: Any) -> Any:
    """An accepted payment with something else in it."""
    body = json.loads(next(sample.body for sample in corpus() if sample.name == "payment.succeeded.json"))
    body |= {name: value for name, value in values.items() if name != "data"}
    body["data"] |= values.get("data", {})
    raw = json.dumps(body).encode()
    sample = Sample("platform", "planted", raw, is_own=True)
    return _delivery(random.Random(1), "planted", sample, raw)  # noqa: S311 - it must repeat itself


def test_a_fact_beyond_the_calendar_is_reported(monkeypatch: pytest.MonkeyPatch, workers: Workers) -> None:
    monkeypatch.setattr(payload, "_END_OF_TIME_S", 253_402_300_800)
    asked = changed(time="9999-12-31T23:59:59Z")
    found = {fault for seed in range(1, 9) for fault in violations(seed, asked, Ingress(), workers)[1]}
    assert found == {"payment_succeeded meets a defect: OverflowError date value out of range"}


def test_a_fact_that_is_changed_by_its_message_is_reported(monkeypatch: pytest.MonkeyPatch, workers: Workers) -> None:
    fact = platform._fact
    monkeypatch.setattr(platform, "_fact", lambda *given: replace(fact(*given), reason=""))
    assert violations(1, changed(), Ingress(), workers)[1] == ["the facts that were queued are not those of the delivery"]


# --- the fakes


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"MessageBody": ""}, 1),
        ({"MessageBody": "x" * 1_048_577}, 1),
        ({"MessageBody": "\x00"}, 1),
        ({"MessageBody": "\ud800"}, 1),
    ]
    + [({"MessageGroupId": group}, 1) for group in ("", "é", "a b", "x" * 129)]
    + [({}, 0), ({}, 11), ({"MessageBody": "x" * 600_000}, 2), ({"Id": "a b"}, 1), ({"MoreThanThat": "x"}, 1)],
)
def test_the_queues_refuse_what_sqs_refuses(changes: dict[str, str], number: int) -> None:
    places = count()
    entry = {"MessageBody": "{}", "MessageGroupId": "g"}
    entries = [entry | {"Id": str(next(places)), "MessageDeduplicationId": f"d{place}"} | changes for place in range(number)]
    sqs = Sqs(URLS)
    try:
        answer = sqs.send_message_batch(QueueUrl=next(iter(URLS.values())), Entries=entries)
    except ClientError:
        answer = {"Successful": []}
    assert (answer["Successful"], sqs.sent, len(sqs.refused)) == ([], [], 1)


# --- the command


def test_the_last_line_counts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--inputs", "1", "--first", "7", "--jobs", "1"])
    assert command.main() == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("seed 7: ")
    assert shown[-1] == "1 inputs, 0 violations"
