"""The stand-ins of providers' APIs refuse what the real ones refuse."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tools.provider_apis.__main__ import application

KEY = {"Authorization": "Bearer key"}
VERSION = {"GoCardless-Version": "2015-07-06"}


def get(path: str, headers: dict[str, str]) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(application("key"))
        async with httpx.AsyncClient(transport=transport, base_url="http://stand-ins.example") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("mollie/payments/tr_8Hb1Bread01", KEY, 200),
        ("mollie/payments/tr_8Hb1Bread01", {}, 401),
        ("mollie/payments/tr_8Hb1Bread01", {"Authorization": "Bearer other"}, 401),
        ("mollie/payments/tr_unknown", KEY, 404),
        ("mollie/settlements/stl_unknown/payments", KEY, 404),
        ("gocardless/payments/PM00QUAY0001", KEY | VERSION, 200),
        ("gocardless/payments/PM00QUAY0001", KEY, 400),
        ("gocardless/payments/PM00UNKNOWN", KEY | VERSION, 404),
        ("gocardless/payout_items?payout=PO00UNKNOWN", KEY | VERSION, 404),
        ("elsewhere/payments/1", KEY, 404),
    ],
)
def test_a_request_is_answered_as_the_provider_would(path: str, headers: dict[str, str], status: int) -> None:
    assert get(path, headers).status_code == status


def test_related_objects_come_along_only_when_they_are_asked_for() -> None:
    path = "mollie/payments/tr_8Hb1Bread02"
    assert "_embedded" not in get(path, KEY).json()
    assert [*get(f"{path}?embed=captures,refunds", KEY).json()["_embedded"]] == ["refunds"]


def test_only_the_events_that_are_asked_for_are_listed() -> None:
    path = "gocardless/events?resource_type=payments&action=failed&payment=PM00QUAY0004"
    assert [event["id"] for event in get(path, KEY | VERSION).json()["events"]] == ["EV00QUAY0008"]
