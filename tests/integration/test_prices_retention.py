"""Old prices go: ticks after 7 days, one-minute candles after 90 days, rolled into hours."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from prices import retention
from prices.models import Candle, Tick

NOW = datetime(2026, 11, 21, 12, 30, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexgent.clock.now", lambda: NOW)


def minute(start: datetime, *prices: int, mint: str = "m") -> Candle:
    first, high, low, last = (Decimal(price) for price in prices)
    return Candle(mint=mint, seconds=60, start=start, open=first, high=high, low=low, close=last, ticks=2)


def test_ticks_older_than_seven_days_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "TICKS_PER_STEP", 2)
    ages = [timedelta(days=8), timedelta(days=9), timedelta(days=10), timedelta(days=7), timedelta(days=1)]
    Tick.objects.bulk_create(Tick(mint="m", at=NOW - age, price_sol=1, source="x") for age in ages)

    assert retention.retain() == (3, 0)
    assert Tick.objects.count() == 2


def test_minutes_become_hours_with_the_same_open_high_low_close() -> None:
    hour = datetime(2026, 8, 1, 10, 0, 0, tzinfo=UTC)
    Candle.objects.bulk_create(
        [
            minute(hour, 5, 6, 4, 5),
            minute(hour + timedelta(minutes=30), 5, 9, 5, 7),
            minute(hour + timedelta(minutes=59), 7, 7, 2, 3),
            minute(hour + timedelta(hours=1), 3, 3, 3, 3),
            minute(hour, 1, 1, 1, 1, mint="n"),
            minute(NOW - timedelta(days=1), 8, 8, 8, 8),
        ]
    )

    retention.retain()

    def rows(**filters: Any) -> list[tuple[Any, ...]]:
        wanted = ("mint", "open", "high", "low", "close", "ticks")
        return list(Candle.objects.filter(**filters).order_by("mint", "start").values_list(*wanted))

    assert rows(seconds=3600) == [("m", 5, 9, 2, 3, 6), ("m", 3, 3, 3, 3, 2), ("n", 1, 1, 1, 1, 2)]
    assert rows(seconds=60) == [("m", 8, 8, 8, 8, 2)]


def test_an_hour_that_is_not_wholly_past_waits() -> None:
    edge = (NOW - timedelta(days=90)).replace(minute=0)
    Candle.objects.bulk_create([minute(edge, 1, 1, 1, 1)])

    assert retention.retain() == (0, 0)
    assert Candle.objects.filter(seconds=60).count() == 1
