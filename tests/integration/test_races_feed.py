"""A feed that lies once, is silent, slow, stands still, and comes back: nothing is decided on what it said wrong or
long ago, somebody is told, and all goes on by itself.

Real worker processes, at the pace of a budget without a key as in a fresh installation, over real HTTP.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F

from nexgent import clock
from nexgent.events.models import Alarm
from tests.fakes.dexscreener import FakeDexScreener
from tests.fakes.loopback import Fault
from tests.independence.market import Market, held, outside
from tests.independence.processes import until, workers
from tests.independence.scale import SCALE, note
from trading.books import check
from trading.engine import recovery
from trading.models import Order, Position, Side, Watermark

LIES = {"+50 %": "0.0015", "-50 %": "0.0005"}
JUMP_WAITS_SECONDS = 3.0
SWEEP_SECONDS = 1.5
"""So often at least all positions are looked at, bell or no bell."""
ALARM_SECONDS, BACK_SECONDS = 45, 90
DOWN = "PRICE_FEED_DOWN"
FAULTS = {
    "hangs": lambda: Fault(silent_seconds=20),
    "answers 503": lambda: Fault(status=503, body=b"{}"),
    "answers 3.5 s late": lambda: Fault(silent_seconds=3.5),
    "stands still": None,
}
KINDS = list(FAULTS) if SCALE.is_full else ["hangs"]

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def watched(market: Market, *, second: str = "", controls: tuple[str, ...] = ()) -> Iterator[None]:
    """A prices and an exits process that watch what is held; `second` is where DexScreener answers.

    For a control the decision is enough, nobody needs to sell.
    """
    more = outside(market, second=second)
    if not controls:
        more["EXIT_MAX_AGE_SECONDS"] = str(SCALE.price_age)
    queues = ("prices",) if controls else ("prices", "exits")
    with workers(*queues, more=more, controls=controls):
        until(recovery.is_recovered, seconds=40)
        until(lambda: recovery.report()["watched"] == Position.objects.filter(closed_at=None).count(), seconds=10)
        yield


def sales_of(position: Position) -> list[str]:
    """The rules that have planned a sale."""
    return sorted(sale.get_purpose_display() for sale in Order.objects.filter(position=position, side=Side.SELL))


def decisions(position: Position) -> list[str]:
    """What was decided about a position: sales by their rule, and a peak or low that is not its price of entry."""
    marks = Watermark.objects.get(position=position)
    moved = {marks.peak, marks.low} - {position.average}
    return [*sales_of(position), *(f"moved to {mark.normalize():f}" for mark in moved)]


def lie(market: Market, position: Position, sol: str) -> list[str]:
    """What comes of an answer that says so, when the next ones say what was said before."""
    mint = position.token_id
    until(lambda: market.told[mint] >= 1, seconds=20)
    market.lies[mint] = sol
    until(lambda: mint not in market.lies, seconds=20)
    told, at = market.told[mint], time.monotonic()
    until(
        lambda: (
            (market.told[mint] >= told + 2 and time.monotonic() - at > JUMP_WAITS_SECONDS + SWEEP_SECONDS)
            or bool(decisions(position))
        ),
        seconds=20,
    )
    return decisions(position)


def told_of(found: dict[str, list[str]]) -> str:
    return ", ".join(f"{name}: {', '.join(seen) or 'nothing decided'}" for name, seen in found.items())


def grow_old(position: Position) -> None:
    """The position has been held for two hours: the rule that closes what earns nothing is due."""
    Position.objects.filter(id=position.id).update(opened_at=clock.now() - timedelta(hours=2), version=F("version") + 1)


def decided_on_an_old_price(position: Position) -> list[str]:
    """What is decided when a rule of time is due and the last price is too old."""
    time.sleep(SCALE.price_age + 0.5)
    grow_old(position)
    end = time.monotonic() + 2 * SWEEP_SECONDS
    until(lambda: time.monotonic() > end or bool(sales_of(position)), seconds=20)
    return decisions(position)


def is_alarmed() -> bool:
    return Alarm.objects.filter(code=DOWN, subject="jupiter", cleared_at=None).exists()


def begin(market: Market, kind: str) -> None:
    make = FAULTS[kind]
    if make is None:
        market.blocks_stand_still = True
    else:
        market.fault = make()


def end(market: Market) -> None:
    market.fault, market.blocks_stand_still = None, False


def outage(market: Market, position: Position, kind: str) -> str:
    """One outage from beginning to end; returns how long its alarm and its end took."""
    begin(market, kind)
    alarmed = until(is_alarmed, seconds=ALARM_SECONDS)
    market.set(position.token_id, "0.00078")  # the stop is due, and nobody hears it
    assert decided_on_an_old_price(position) == [], kind
    assert is_alarmed()
    connection.close()

    end(market)
    back = until(lambda: Position.objects.get(id=position.id).closed_at is not None, seconds=BACK_SECONDS)
    until(lambda: not is_alarmed(), seconds=20)
    sale = Order.objects.get(position=position, side=Side.SELL)
    assert (sale.get_purpose_display(), sale.price) == ("stop_loss", Decimal("0.00078")), kind
    assert sale.created_at - sale.price_at < timedelta(seconds=SCALE.price_age), kind
    return f"{kind}: alarm after {alarmed:.1f} s, sold {back:.1f} s after its end"


def test_a_feed_that_lies_once_is_silent_and_comes_back_sells_only_what_is_due():
    with Market() as market:
        positions = [held() for _ in KINDS]
        for position in positions:
            market.set(position.token_id, "0.001")
        with watched(market):
            found = {name: lie(market, positions[0], sol) for name, sol in LIES.items()}
            note("a feed that says for one answer", words=told_of(found))
            assert found == {name: [] for name in LIES}
            told = [outage(market, position, kind) for position, kind in zip(positions, KINDS, strict=True)]
            note(f"a feed whose word must not be older than {SCALE.price_age:g} s", words="; ".join(told))
    assert check().problems == ()


def test_control_without_doubt_and_without_an_age_the_same_feed_sells():
    with Market() as market:
        lied, silent = held(), held()
        for position in (lied, silent):
            market.set(position.token_id, "0.001")
        with watched(market, controls=("every_price_counts", "prices_never_age")):
            on_a_lie = lie(market, lied, LIES["-50 %"])
            begin(market, "answers 503")
            on_an_old_price = decided_on_an_old_price(silent)
    words = f"on a lie of one answer {on_a_lie}, on an old price {on_an_old_price}"
    note("control, every price counts and none grows old", words=words)
    assert on_a_lie[:1] == ["stop_loss"]
    assert on_an_old_price[:1] == ["stale_trade"]


in_full = pytest.mark.skipif(not SCALE.is_full, reason="more of feeds that err: make independence")


@in_full
def test_a_lie_of_one_of_two_sources_sells_nothing():
    with Market() as market, FakeDexScreener() as second:
        position = held()
        second.pools[position.token_id] = "0.001"
        market.set(position.token_id, "0.001")
        with watched(market, second=second.url):
            found = {name: lie(market, position, sol) for name, sol in LIES.items()}
            asked = len(second.requests)
    note("the first of two feeds says for one answer", words=told_of(found))
    assert asked >= 2  # the second one was asked whether it sees the jumps
    assert found == {name: [] for name in LIES}


@in_full
def test_answers_that_are_late_and_in_time_still_count():
    with Market() as market:
        position = held()
        market.set(position.token_id, "0.001")
        market.fault = Fault(silent_seconds=2)
        with watched(market):
            until(lambda: market.told[position.token_id] >= 2, seconds=20)
            market.set(position.token_id, "0.00078")
            took = until(lambda: Position.objects.get(id=position.id).closed_at is not None, seconds=BACK_SECONDS)
            alarms = list(Alarm.objects.filter(code=DOWN).values_list("subject", flat=True))
    note("a feed whose answers take 2 s", words=f"sold {took:.1f} s after the price moved")
    assert alarms == []
    assert Order.objects.get(position=position, side=Side.SELL).price == Decimal("0.00078")
