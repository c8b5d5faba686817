"""`docs/adding-a-provider.md`, followed step by step: its module, registry line and sample end as a fact on a queue."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from quittance import providers
from tests.handlers.conftest import CONNECTIONS_PATH
from tools.deliveries import api_gateway_event

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
SECRET = "cowrie-secret"


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch, cloud: Any, load_function: Callable[[str], ModuleType]) -> ModuleType:
    name, module_name = re.findall(r'"(\S+)": "(\S+)"', block("text"))[0]
    module = ModuleType(module_name)
    monkeypatch.setitem(sys.modules, module_name, module)
    exec(compile(block("python"), module_name, "exec"), module.__dict__)  # noqa: S102 - our own page
    monkeypatch.setitem(providers._MODULES, name, module_name)
    cloud.ssm.put_parameter(Name=f"{CONNECTIONS_PATH}/cowrie/default/secret", Value=SECRET, Type="SecureString")
    return load_function("ingest")


def delivered(ingest: ModuleType, body: bytes, secret: str = SECRET) -> int:
    headers = {"Cowrie-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}
    answer = ingest.handler(api_gateway_event("cowrie", "default", body, headers), None)
    return int(answer["statusCode"])


def test_the_sample_of_the_page_is_queued_as_the_fact_it_states(ingest: ModuleType, cloud: Any) -> None:
    assert delivered(ingest, block("json").encode()) == 200
    (message,) = cloud.all_received()["payment_succeeded"]
    assert message["fact"]["amount"] == {"value": 12345, "currency": "EUR"}
    assert (message["fact"]["key"], message["fact"]["account"]) == ("ch_1", "connection:default")


def test_what_the_page_promises_of_bad_deliveries_holds(ingest: ModuleType, cloud: Any) -> None:
    sample = json.loads(block("json"))
    assert delivered(ingest, block("json").encode(), secret="another") == 401
    assert delivered(ingest, json.dumps(sample | {"data": {"charge": "ch_1", "amount": 1.5, "currency": "EUR"}}).encode()) == 400
    for change in ({"type": "charge.admired"}, {"data": sample["data"] | {"currency": "XXY"}}):
        assert delivered(ingest, json.dumps(sample | change).encode()) == 200
    assert {message["reason"] for message in cloud.all_received()["event_ignored"]} == {"unknown_event_type", "unknown_currency"}
