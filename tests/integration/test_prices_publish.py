"""Publishing prices: sinks first, newest wins, stored set-wise, read back from Valkey or PostgreSQL."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from nexgent import money
from nexgent.errors import Refusal
from prices import cache, selectors, services
from prices.mints import mint_of
from prices.models import Candle, LatestPrice, Tick, Token
from prices.records import PriceTick

T0 = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
MINT = mint_of(b"a" * 32)
OTHER = mint_of(b"b" * 32)


def tick(price: str, seconds: float = 0, *, mint: str = MINT, **more: object) -> PriceTick:
    return PriceTick(mint, Decimal(price), T0 + timedelta(seconds=seconds), "jupiter", **more)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _empty_valkey(db: None) -> None:
    cache.valkey().client.delete(cache.LATEST)


def test_publish_stores_latest_tick_and_candle() -> None:
    services.publish([tick("0.001", price_usd=Decimal("0.15"), liquidity_usd=Decimal(5000)), tick("0.5", mint=OTHER)])

    row = LatestPrice.objects.get(token_id=MINT)
    assert (row.price_sol, row.price_usd, row.liquidity_usd) == (Decimal("0.001"), Decimal("0.15"), Decimal(5000))
    assert Tick.objects.count() == 2
    assert list(Candle.objects.filter(mint=OTHER).values_list("open", "close", "ticks")) == [
        (Decimal("0.5"),) * 2 + (1,)
    ]
    assert selectors.latest([MINT, OTHER])[MINT] == tick(
        "0.001", price_usd=Decimal("0.15"), liquidity_usd=Decimal(5000)
    )


def test_an_older_price_never_replaces_a_newer_one() -> None:
    services.publish([tick("2", 10)])
    services.publish([tick("1", 5)])

    assert LatestPrice.objects.get(token_id=MINT).price_sol == 2
    assert selectors.latest([MINT])[MINT].price_sol == 2
    cache.valkey().client.delete(cache.LATEST)
    assert selectors.latest([MINT])[MINT].price_sol == 2


def test_a_minute_becomes_one_candle() -> None:
    for second, price in [(1, "5"), (2, "9"), (3, "3"), (59, "4")]:
        services.publish([tick(price, second)])
    services.publish([tick("7", 61)])

    candles = list(Candle.objects.order_by("start").values_list("open", "high", "low", "close", "ticks"))
    assert candles == [(5, 9, 3, 4, 4), (7, 7, 7, 7, 1)]


def test_a_failing_sink_stops_neither_the_others_nor_the_store() -> None:
    seen: list[object] = []

    def broken(batch: object) -> None:
        raise RuntimeError("engine")

    services.register_sink(broken)
    services.register_sink(seen.extend)  # type: ignore[arg-type]
    try:
        services.publish([tick("1")])
    finally:
        services.unregister_sink(broken)
        services.unregister_sink(seen.extend)  # type: ignore[arg-type]

    assert seen == [tick("1")]
    assert LatestPrice.objects.count() == 1


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-1", "0", "1e24", "1e-25"])
def test_what_is_no_price_is_refused_at_once(price: str) -> None:
    with pytest.raises(ValueError, match="is no price"):
        tick(price)


def test_d2_sol_usd_has_no_default_and_is_nothing_when_old() -> None:
    assert selectors.sol_usd(T0) is None
    services.publish([tick("1", mint=money.SOL_MINT, price_usd=Decimal("151.5"))])

    assert selectors.sol_usd(T0 + timedelta(seconds=30)) == Decimal("151.5")
    assert selectors.sol_usd(T0 + timedelta(seconds=30, microseconds=1)) is None
    quote = selectors.sol_usd_quote(T0)
    assert quote is not None
    assert quote.source == "jupiter"


def test_a_token_needs_a_real_address() -> None:
    with pytest.raises(Refusal) as refused:
        services.ensure_token("not-a-mint")
    assert refused.value.code == "INVALID_TOKEN"
    assert not Token.objects.exists()

    token = services.ensure_token(MINT, "BONK")
    assert (token.symbol, token.decimals) == ("BONK", 9)
    assert services.ensure_token(MINT, "OTHER").symbol == "BONK"
