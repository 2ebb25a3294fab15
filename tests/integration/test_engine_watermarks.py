"""Peaks and stops are in their rows within a second of the tick that made them, by the running engine and its clock."""

import time
from collections import deque
from decimal import Decimal

import pytest

from nexgent import clock
from prices import services as prices
from prices.records import PriceTick
from tests.trader import START, Trader, tape_clock
from trading.engine.watch import Engine
from trading.models import Watermark

pytestmark = pytest.mark.django_db(transaction=True)
TICKS = 150
TICK_SECONDS = 0.02


def test_each_peak_of_three_seconds_is_saved_within_a_second_of_its_tick():
    # given a running engine that watches one position
    with tape_clock() as tape:
        trader = Trader.with_position(tape)
        position_id = trader.position.id
        opened_at = trader.position.opened_at
    assert opened_at < START.replace(hour=13)
    prices.write_prices("inline")
    engine = Engine()
    engine.start()
    late: list[float] = []
    waiting: deque[tuple[Decimal, float]] = deque()

    def look() -> None:
        peak = Watermark.objects.values_list("peak", flat=True).get(position_id=position_id)
        while waiting and waiting[0][0] <= peak:
            late.append(time.monotonic() - waiting.popleft()[1])

    # when its price rises tick by tick
    try:
        deadline = time.monotonic() + 10
        while not len(engine.book) and time.monotonic() < deadline:
            time.sleep(0.01)
        for nth in range(TICKS):
            price = Decimal("0.001") * (100_001 + nth) / 100_000
            waiting.append((price, time.monotonic()))
            engine.offer([PriceTick(trader.mint, price, clock.now(), "test")])
            time.sleep(TICK_SECONDS)
            look()
        while waiting and time.monotonic() < deadline + 10:
            time.sleep(TICK_SECONDS)
            look()
    finally:
        engine.stop()

    # then each is there in time, with room: a saving takes a moment, too
    assert len(late) == TICKS
    assert max(late) <= 0.95
