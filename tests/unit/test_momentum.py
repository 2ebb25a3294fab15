"""When the built-in source calls a rise a rise."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from signals.momentum import Bar, decide

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def bars(*closes: str, start: datetime = START) -> list[Bar]:
    """Minutes one after the other, each opening where the one before closed; the first open is the first number."""
    prices = [Decimal(close) for close in closes]
    return [Bar(start + i * MINUTE, prices[i], prices[i + 1]) for i in range(len(prices) - 1)]


CALM_THEN_UP = ("1", "1.001", "1", "1.001", "1.02", "1.04")


def after(found: list[Bar], seconds: float = 0) -> datetime:
    return found[-1].start + MINUTE + timedelta(seconds=seconds)


def test_two_rising_minutes_above_what_is_usual_are_told():
    found = bars(*CALM_THEN_UP)

    told = decide(found, after(found))

    assert told is not None
    assert told.minute == START + 4 * MINUTE
    assert round(told.rise_percent, 4) == Decimal("3.8961")
    assert told.strength == 5


def test_a_calm_market_tells_nothing():
    found = bars("1", "1.001", "1", "1.001", "1", "1.001")

    assert decide(found, after(found)) is None


def test_a_rise_that_is_usual_for_the_token_tells_nothing():
    found = bars("1", "1.04", "1", "1.04", "1.06", "1.08")

    assert decide(found, after(found)) is None


def test_the_least_rise_is_strength_one():
    found = bars("1", "1", "1", "1", "1.001", "1.002")

    told = decide(found, after(found))

    assert told is not None
    assert (told.rise_percent, told.strength) == (Decimal("0.2"), 1)


def test_just_below_the_least_rise_tells_nothing():
    found = bars("1", "1", "1", "1", "1.001", "1.00199")

    assert decide(found, after(found)) is None


def test_a_minute_that_fell_in_between_tells_nothing():
    found = bars("1", "1.001", "1", "1.001", "1", "1.1")

    assert decide(found, after(found)) is None


def test_the_minute_counts_until_the_next_one_is_closed():
    found = bars(*CALM_THEN_UP)

    assert decide(found, after(found, 59.9)) is not None
    assert decide(found, after(found, 60)) is None
    assert decide(found, after(found, -0.1)) is None


def test_a_gap_between_the_rising_minutes_tells_nothing():
    found = bars(*CALM_THEN_UP)
    late = Bar(found[-1].start + MINUTE, found[-1].open, found[-1].close)

    assert decide([*found[:-1], late], late.start + MINUTE) is None


def test_too_little_history_tells_nothing():
    found = bars("1", "1", "1", "1.02", "1.04")

    assert decide(found, after(found)) is None
