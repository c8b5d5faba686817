"""Providers' APIs for tests of what is fetched: the real client, with canned answers or a stand-in behind it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from quittance.provider_api import ProviderApi
from quittance.providers import FetchedFor, Reference, fetching_provider
from tools.provider_apis import STAND_INS, answered
from tools.provider_apis.stand_in import EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quittance.facts import Fact
    from quittance.providers import Translation

API_KEY = "key_of_tests"
BASE_URL = "https://api.example/"
TOLD = FetchedFor(
    connection="shop", event_id="evt_1", event_type="told", account="connection:shop", occurred_at="2026-11-21T08:00:00Z"
)


class Canned:
    """Answers by path, or by path and query; 404 for all else. Notes what it was asked."""

    def __init__(self, provider: str, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []
        headers = fetching_provider(provider).api_headers(API_KEY)
        self.api = ProviderApi(BASE_URL, headers, transport=httpx.MockTransport(self._respond))

    def _respond(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "api.example"
        self.asked.append(str(request.url).removeprefix(BASE_URL))
        found = self.answers.get(self.asked[-1], self.answers.get(request.url.path.strip("/")))
        return httpx.Response(404) if found is None else httpx.Response(200, text=json.dumps(found))


def stand_in(provider: str) -> ProviderApi:
    """The development stand-in, which knows the objects that the samples name."""
    knows = STAND_INS[provider](EVENTS / provider)

    def respond(request: httpx.Request) -> httpx.Response:
        path, query = request.url.path.strip("/"), dict(request.url.params)
        answer = answered(knows, API_KEY, path, query, dict(request.headers))
        return httpx.Response(answer.status, content=answer.body)

    return ProviderApi(BASE_URL, fetching_provider(provider).api_headers(API_KEY), transport=httpx.MockTransport(respond))


def fetched(provider: str, api: ProviderApi, kind: str, name: str, told: FetchedFor = TOLD) -> tuple[Translation, ...]:
    return fetching_provider(provider).fetch(Reference(kind, name), api, {}, told)


def said(fact: Fact) -> tuple[str, str, str | None, str]:
    """A fact on one line: type, key, amount in minor units and when it happened."""
    amount = f"{fact.amount.value} {fact.amount.currency}" if fact.amount else None
    return fact.type, fact.key, amount, fact.occurred_at
