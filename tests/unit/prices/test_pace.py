"""Rounds of polling leave a part of a small budget for tokens that somebody asks about."""

import pytest

from prices.feeds import registry


@pytest.fixture(autouse=True)
def fresh_budget(settings):
    registry.budget.cache_clear()
    yield
    registry.budget.cache_clear()


def test_without_a_key_a_fifth_of_the_budget_is_left(settings):
    settings.PRICE_FEEDS, settings.JUPITER_API_KEY, settings.JUPITER_RATE = ("jupiter",), "", 600
    refill = registry.budget("jupiter").refill_per_second
    assert registry.pace_seconds() == pytest.approx(1 / (0.8 * refill))
    assert registry.pace_seconds() > 1.5


def test_a_large_budget_and_the_synthetic_market_need_no_pace(settings):
    settings.PRICE_FEEDS, settings.JUPITER_API_KEY, settings.JUPITER_RATE = ("jupiter",), "key", 600
    assert registry.pace_seconds() == 0
    settings.PRICE_FEEDS = ("synthetic",)
    assert registry.pace_seconds() == 0
