"""A token without a price (D-11): two sources must agree for 15 minutes, a silent feed proves nothing."""

import pytest

from nexgent import clock
from nexgent.events.models import Alarm, Event
from prices import absence, cache
from prices.feeds import registry
from prices.poller import Poller
from tests.fakes.dexscreener import FakeDexScreener
from tests.fakes.jupiter import FakeJupiter
from tests.trader import Trader, tape_clock
from trading import services
from trading.maintenance import UNTRADABLE, mark_untradable

pytestmark = pytest.mark.django_db(transaction=True)
SOURCES = ("first", "second")


@pytest.fixture
def trader(settings):
    absence.forget(SOURCES)
    with tape_clock() as tape:
        trader = Trader(tape)
        trader.price("0.001")
        trader.buy("1")
        settings.PRICE_FEEDS = SOURCES
        yield trader
    absence.forget(SOURCES)


def absent(trader: Trader, *sources: str, minutes: int = 15) -> None:
    """These sources answer without the token, each minute for so many minutes, both ends included."""
    for minute in range(minutes + 1):
        for source in sources:
            absence.note(source, asked=[trader.mint], priced=[])
        if minute < minutes:
            trader.wait(60)


def test_d11_two_sources_that_agree_for_fifteen_minutes_mark_it_and_alert(trader):
    absent(trader, *SOURCES)

    assert mark_untradable() == [trader.position.id]

    position = trader.position
    assert position.untradable_at == clock.now()
    alarm = Alarm.objects.get(code=UNTRADABLE)
    assert (alarm.subject, alarm.workspace_id, alarm.cleared_at) == (str(position.id), trader.workspace.id, None)
    assert alarm.agent_id == trader.agent.id
    assert sorted(alarm.detail["sources"]) == ["first", "second"]
    assert Event.objects.filter(stream_id=trader.agent.id).latest("seq").type == "position_update"


def test_a_second_look_changes_nothing(trader):
    absent(trader, *SOURCES)
    mark_untradable()
    version = trader.position.version

    assert mark_untradable() == []
    assert trader.position.version == version


def test_a_moment_less_than_fifteen_minutes_is_not_enough(trader):
    absent(trader, *SOURCES, minutes=14)

    assert mark_untradable() == []


def test_one_source_alone_is_no_proof(trader):
    absent(trader, "first", minutes=30)

    assert mark_untradable() == []


def test_silence_is_no_proof(trader):
    trader.wait(3600)

    assert mark_untradable() == []


def test_a_source_that_fell_silent_in_between_begins_anew(trader):
    absent(trader, *SOURCES, minutes=10)
    trader.wait(121)
    absent(trader, *SOURCES, minutes=5)

    assert mark_untradable() == []


def test_what_was_said_long_ago_counts_no_more(trader):
    absent(trader, *SOURCES)
    trader.wait(121)

    assert mark_untradable() == []


def test_a_price_in_between_begins_anew(trader):
    absent(trader, *SOURCES, minutes=10)
    absence.note("second", asked=[trader.mint], priced=[trader.mint])
    absent(trader, *SOURCES, minutes=10)

    assert mark_untradable() == []


def test_without_valkey_nothing_is_marked(trader, settings, monkeypatch):
    absent(trader, *SOURCES)
    settings.REDIS_URL = "redis://127.0.0.1:9/0"

    assert mark_untradable() == []
    assert cache.valkey().is_away is True


def test_the_mark_goes_when_a_price_returns(trader):
    absent(trader, *SOURCES)
    mark_untradable()
    trader.price("0.001")

    assert mark_untradable() == [trader.position.id]

    assert trader.position.untradable_at is None
    assert Alarm.objects.get(code=UNTRADABLE).cleared_at == clock.now()


def test_a_marked_position_can_be_written_off_and_its_alarm_ends(trader):
    absent(trader, *SOURCES)
    mark_untradable()

    services.write_off(position_id=trader.position.id, reason="rugged", author="test")
    mark_untradable()

    assert trader.position.close_reason == "write_off"
    assert Alarm.objects.get(code=UNTRADABLE).cleared_at == clock.now()


def test_the_feeds_note_what_their_answers_lack(trader, settings):
    settings.PRICE_FEEDS = ("jupiter", "dexscreener")
    absence.forget(settings.PRICE_FEEDS)
    with FakeJupiter() as jupiter, FakeDexScreener() as dexscreener:
        settings.JUPITER_API_URL, settings.DEXSCREENER_API_URL = jupiter.url, dexscreener.url
        registry.forget()
        poller = Poller(registry.configured(), lanes=dict, publish=lambda ticks: None, alarm=lambda *_: None)
        poller.ask([trader.mint], "positions")
        said = absence.absences([trader.mint], sources=settings.PRICE_FEEDS, now=clock.now())
        jupiter.prices[trader.mint] = 1
        poller.ask([trader.mint], "positions")
        later = absence.absences([trader.mint], sources=settings.PRICE_FEEDS, now=clock.now())
        poller.close()

    assert sorted(found.source for found in said[trader.mint]) == ["dexscreener", "jupiter"]
    assert [found.source for found in later[trader.mint]] == ["dexscreener"]
    registry.forget()
