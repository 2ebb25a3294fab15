"""The writer's thread: nothing waits for it, an unwilling PostgreSQL costs no price, writers never deadlock."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import psycopg
import pytest
from django.db import connection

from prices import cache
from prices.mints import mint_of
from prices.models import Candle, LatestPrice, Tick
from prices.records import PriceTick
from prices.writer import Mode, Writer
from tests.fakes.loopback import until
from tests.racing import together

T0 = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
MINTS = [mint_of(bytes([n]) * 32) for n in range(1, 41)]
pytestmark = pytest.mark.django_db(transaction=True)


def tick(price: int, seconds: float, mint: str = MINTS[0]) -> PriceTick:
    return PriceTick(mint, Decimal(price), T0 + timedelta(seconds=seconds), "jupiter")


def test_prices_wait_while_postgresql_refuses_and_are_written_afterwards() -> None:
    writer = Writer(Mode.THREAD)
    unwanted = ("cursor_factory", "context", "pool")
    parameters = {k: v for k, v in connection.get_connection_params().items() if k not in unwanted}
    with psycopg.connect(**parameters) as other:
        other.execute("LOCK TABLE prices_latestprice")
        writer.add([tick(1, 1)])
        writer.add([tick(2, 2)])
        assert until(lambda: MINTS[0] in cache.read(MINTS[:1]))
        assert not until(lambda: not writer._queue and not writer._writing.locked(), seconds=3)
        other.rollback()
    assert until(lambda: LatestPrice.objects.filter(price_sol=2).exists(), seconds=8)
    assert until(lambda: Tick.objects.count() == 2)
    assert writer.dropped == 0


def test_four_processes_writing_the_same_mints_never_deadlock() -> None:
    def work(order: list[str], part: int) -> None:
        writer = Writer(Mode.INLINE)
        for second in range(15):
            writer.add([tick(second + 1, second * 4 + part, mint) for mint in order])

    orders = [MINTS, MINTS[::-1], MINTS[20:] + MINTS[:20], MINTS[::2] + MINTS[1::2]]
    ends = together([partial(work, order, part) for part, order in enumerate(orders)])

    assert ends == [None] * 4
    assert set(LatestPrice.objects.values_list("price_sol", "observed_at")) == {(15, T0 + timedelta(seconds=59))}
    assert set(Candle.objects.values_list("high", "low", "ticks")) == {(15, 1, 60)}


def test_the_queue_is_bounded_and_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prices.writer.QUEUE_MAX", 3)
    writer = Writer(Mode.THREAD)
    writer._go = lambda: None  # type: ignore[method-assign]

    writer.add([tick(n, n) for n in range(1, 6)])

    assert writer.dropped == 2
    writer.flush()
    assert LatestPrice.objects.get().price_sol == 5
