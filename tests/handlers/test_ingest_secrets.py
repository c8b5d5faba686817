"""Connections out of SSM: caching, rotation, outages, and what nobody configured."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from quittance.errors import Reject, Retry
from quittance.runtime.secrets import ABSENT_CACHE_S, ABSENT_MAX, CACHE_S, REFETCH_INTERVAL_S, Connections

PATH = "/quittance/test/connections"


class Store:
    """SSM with a clock beside it; it counts what it is asked and can be down."""

    def __init__(self, **values: str) -> None:
        self.values = {f"{PATH}/stripe/default/{leaf.replace('_', '-')}": value for leaf, value in values.items()}
        self.asked: list[list[str]] = []
        self.down = False
        self.now = 1000.0

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: N803
        assert WithDecryption
        self.asked.append(Names)
        if self.down:
            raise ConnectTimeoutError(endpoint_url="ssm")
        return {"Parameters": [{"Name": name, "Value": self.values[name]} for name in Names if name in self.values]}

    @property
    def connections(self) -> Connections:
        return Connections(self, PATH, clock=lambda: self.now)


def test_one_request_fetches_everything_and_lasts() -> None:
    store = Store(secret="new\n", secret_previous="old", settings='{"capture": "manual"}')
    connections = store.connections
    for _ in range(2):
        connection = connections.get("stripe", "default")
        assert (connection.secrets, connection.settings) == (("new", "old"), {"capture": "manual"})
    assert store.asked == [[f"{PATH}/stripe/default/{leaf}" for leaf in ("secret", "secret-previous", "settings")]]
    store.now += CACHE_S
    connections.get("stripe", "default")
    assert len(store.asked) == 2
    assert "new" not in repr(connection)


def test_the_last_good_value_survives_an_outage() -> None:
    store = Store(secret="s")
    connections = store.connections
    connections.get("stripe", "default")
    store.down, store.now = True, store.now + 10 * CACHE_S
    for _ in range(3):
        assert connections.get("stripe", "default").secrets == ("s",)
    assert len(store.asked) == 2  # not every delivery waits for SSM while it is down
    store.down, store.now = False, store.now + REFETCH_INTERVAL_S
    store.values[f"{PATH}/stripe/default/secret"] = "t"
    assert connections.get("stripe", "default").secrets == ("t",)


def test_an_outage_before_the_first_value_is_worth_a_retry() -> None:
    store = Store(secret="s")
    store.down = True
    with pytest.raises(Retry, match="secrets_unavailable"):
        store.connections.get("stripe", "default")


def test_a_refetch_happens_at_most_every_few_seconds() -> None:
    store = Store(secret="s")
    connections = store.connections
    connections.get("stripe", "default")
    assert connections.refetched("stripe", "default") is None
    store.now += REFETCH_INTERVAL_S
    fresh = connections.refetched("stripe", "default")
    assert fresh
    assert fresh.secrets == ("s",)
    assert connections.refetched("stripe", "default") is None
    assert len(store.asked) == 2


def test_what_does_not_fit_is_undecided_while_the_secrets_cannot_be_fetched_again() -> None:
    store = Store(secret="s")
    connections = store.connections
    connections.get("stripe", "default")
    store.down, store.now = True, store.now + CACHE_S
    connections.get("stripe", "default")
    for later_s in (1, REFETCH_INTERVAL_S):
        store.now += later_s
        with pytest.raises(Retry, match="secrets_unavailable"):
            connections.refetched("stripe", "default")
    store.down, store.now = False, store.now + REFETCH_INTERVAL_S
    assert connections.refetched("stripe", "default")


@pytest.mark.parametrize("name", ["default", "nowhere", "..", "a/b", "", "x" * 65, "é", "%2e", "default\n"])
def test_an_unknown_connection_is_refused(name: str) -> None:
    with pytest.raises(Reject, match="connection_unknown"):
        Store().connections.get("stripe", name)


def test_that_a_connection_is_unknown_is_remembered_briefly_and_within_bounds() -> None:
    store = Store()
    connections = store.connections
    for number in range(ABSENT_MAX + 1):
        with pytest.raises(Reject):
            connections.get("stripe", f"c{number}")
    assert len(connections._entries) == 1
    asked = len(store.asked)
    with pytest.raises(Reject):
        connections.get("stripe", f"c{ABSENT_MAX}")
    assert len(store.asked) == asked
    store.values[f"{PATH}/stripe/c{ABSENT_MAX}/secret"] = "s"
    store.now += ABSENT_CACHE_S
    assert connections.get("stripe", f"c{ABSENT_MAX}").secrets == ("s",)


def test_a_connection_without_a_secret_is_none() -> None:
    with pytest.raises(Reject, match="connection_unknown"):
        Store(secret=" ", settings="{}").connections.get("stripe", "default")


@pytest.mark.parametrize("settings", ["{", "[]", "null"])
def test_settings_that_cannot_be_read_are_not_ignored(settings: str) -> None:
    with pytest.raises(Retry, match="settings_unreadable"):
        Store(secret="s", settings=settings).connections.get("stripe", "default")
