"""The feeds in the health answer: who is down is named, and healthy again when it answers again."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from nexgent import clock
from prices import cache, condition
from prices.budget import Budget
from prices.feeds import provider as providers
from prices.feeds.dexscreener import DexScreenerFeed
from prices.feeds.jupiter import JupiterFeed
from prices.mints import mint_of
from prices.poller import Poller
from prices.records import Lane
from prices.station import Station
from tests.fakes.dexscreener import FakeDexScreener
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Fault, until

pytestmark = pytest.mark.django_db
MINT = mint_of(b"a" * 32)


class Feeds:
    """A station between two fake providers, rung and heard by the test."""

    def __init__(self, jupiter: FakeJupiter, dexscreener: FakeDexScreener) -> None:
        first = providers.Provider("jupiter", url=jupiter.url, budget=Budget(f"j-{uuid.uuid4()}", 10_000))
        second = providers.Provider("dexscreener", url=dexscreener.url, budget=Budget(f"d-{uuid.uuid4()}", 10_000))
        self.jupiter, self.dexscreener = jupiter, dexscreener
        poller = Poller(
            [JupiterFeed(first), DexScreenerFeed(second)],
            lanes=lambda: {MINT: Lane.POSITIONS},
            publish=lambda _batch: None,
            alarm=lambda _code, _subject, _detail: None,
        )
        self.station = Station(poller, pyth=None)
        self.station.start()

    def rounds(self, number: int) -> None:
        for _ in range(number):
            assert until(self.station.ring)


@pytest.fixture
def feeds(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feeds]:
    settings.PRICE_FEEDS = ("jupiter", "dexscreener")
    monkeypatch.setattr(providers, "OPEN_SECONDS", 0.05)
    monkeypatch.setattr("prices.station.STATE_EVERY_SECONDS", 0.0)
    with FakeJupiter() as jupiter, FakeDexScreener() as dexscreener:
        jupiter.prices, dexscreener.pools = {MINT: 15}, {MINT: "0.1"}
        given = Feeds(jupiter, dexscreener)
        yield given
        given.station.stop()
    cache.valkey().client.delete(cache.FEEDS)


def told(client: Any) -> dict[str, Any]:
    answer = client.get("/health")
    assert answer.status_code == 200
    return dict(answer.json()["services"]["feeds"])


def states(said: dict[str, Any]) -> dict[str, str]:
    return {feed["name"]: feed["state"] for feed in said["feeds"]}


def test_a_preferred_feed_that_stops_is_named_and_healthy_after_its_return(client: Any, feeds: Feeds) -> None:
    feeds.rounds(1)
    assert until(lambda: told(client)["status"] == "healthy")
    said = told(client)
    assert states(said) == {"jupiter": "ok", "dexscreener": "waiting"}
    assert 0 <= said["feeds"][0]["ageSeconds"] < 10

    feeds.jupiter.fault = Fault(status=500)
    feeds.rounds(3)

    assert until(lambda: told(client)["status"] == "degraded")
    assert told(client)["down"] == ["jupiter"]
    assert states(told(client)) == {"jupiter": "down", "dexscreener": "ok"}
    assert client.get("/health").json()["status"] == "degraded"

    feeds.jupiter.fault = None
    assert until(lambda: feeds.station.ring() and told(client)["status"] == "healthy")
    assert (told(client)["down"], states(told(client))["jupiter"]) == ([], "ok")


def test_a_second_feed_that_is_down_is_named_and_everything_else_goes_on(client: Any, feeds: Feeds) -> None:
    feeds.jupiter.prices = {}
    feeds.dexscreener.fault = Fault(status=500)

    feeds.rounds(3)

    assert until(lambda: told(client)["down"] == ["dexscreener"])
    assert told(client)["status"] == "healthy"


def test_one_failed_answer_is_not_yet_a_feed_that_is_down(client: Any, feeds: Feeds) -> None:
    feeds.rounds(1)
    feeds.jupiter.fault = Fault(cut=True)
    feeds.rounds(1)

    assert until(lambda: states(told(client))["jupiter"] == "failing")
    assert (told(client)["status"], told(client)["down"]) == ("healthy", [])


def test_feeds_of_which_nobody_tells_are_unknown(client: Any, settings: Any) -> None:
    settings.PRICE_FEEDS = ("jupiter", "dexscreener")
    cache.valkey().client.delete(cache.FEEDS)

    assert told(client) == {
        "status": "degraded",
        "down": [],
        "feeds": [
            {"name": "jupiter", "state": "unknown", "ageSeconds": None},
            {"name": "dexscreener", "state": "unknown", "ageSeconds": None},
        ],
    }


def test_an_old_word_counts_no_longer_and_a_feed_that_is_never_done_is_down(
    client: Any, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds.rounds(1)
    assert until(lambda: told(client)["status"] == "healthy")
    feeds.station.stop()
    later = clock.now() + condition.WORD_MAX_AGE + timedelta(seconds=1)

    monkeypatch.setattr(condition.clock, "now", lambda: later)
    assert (told(client)["status"], states(told(client))["jupiter"]) == ("degraded", "unknown")

    monkeypatch.setattr(condition, "WORD_MAX_AGE", timedelta(minutes=5))
    monkeypatch.setattr(condition.clock, "now", lambda: later + timedelta(seconds=30))
    assert (told(client)["status"], told(client)["down"]) == ("degraded", ["jupiter"])
