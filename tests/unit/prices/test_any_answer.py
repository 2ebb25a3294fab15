"""Whatever a service sends, a feed answers with prices or with a named failure; and no jump is held up for long."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from nexgent.money import SOL_MINT
from prices.feeds import chain, dexscreener, jupiter, pyth
from prices.feeds.confirmation import Confirmation
from prices.feeds.protocol import FeedFailure
from prices.mints import mint_of
from prices.records import PriceTick

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
MINT = mint_of(b"a" * 32)

numbers = st.one_of(
    st.integers(),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.sampled_from([Decimal("1e999999"), Decimal("1e-999999"), Decimal("sNaN"), 0, -1, True, 10**40]),
)
texts = st.one_of(
    st.text(max_size=5), st.sampled_from([MINT, SOL_MINT, pyth.SOL_USD_ID, "NaN", "1e9999", "sNaN", "150"])
)
WORDS = """
usdPrice blockId liquidity usd quote base priceNative priceUsd priceChange h24 baseToken quoteToken address parsed id
price expo conf publish_time decimals symbol audit firstPool createdAt mcap result value data owner
"""
names = st.sampled_from([*WORDS.split(), MINT, SOL_MINT])
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=6)),
    max_leaves=25,
)
prices = st.fixed_dictionaries({SOL_MINT: st.fixed_dictionaries({"usdPrice": numbers}), MINT: json_values})
pairs = st.lists(
    st.fixed_dictionaries(
        {
            "baseToken": st.just({"address": MINT}),
            "quoteToken": st.just({"address": SOL_MINT}),
            "priceNative": json_values,
            "priceUsd": json_values,
            "liquidity": json_values,
            "priceChange": json_values,
        }
    ),
    max_size=3,
)
quotes = st.fixed_dictionaries(
    {"price": json_values, "conf": json_values, "expo": json_values, "publish_time": json_values}
)
updates = quotes.map(lambda quote: {"parsed": [{"id": pyth.SOL_USD_ID, "price": quote}]})
tokens = st.lists(
    st.fixed_dictionaries(
        {"id": st.one_of(st.just(MINT), json_values), "decimals": st.just(6)},
        optional=dict.fromkeys(("symbol", "audit", "firstPool", "createdAt", "mcap", "holderCount"), json_values),
    ),
    max_size=3,
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(json_values, prices, pairs, updates, tokens))
def test_any_json_is_read_or_refused_by_name(body: object) -> None:
    for read in (
        lambda: jupiter.parse_prices(body, [MINT], at=NOW).ticks,
        lambda: jupiter.parse_tokens(body, frozenset([MINT])),
        lambda: dexscreener.parse_answer(body, [MINT], at=NOW).ticks,
        lambda: chain.parse_mints(body, [MINT]),
        lambda: [pyth.parse_update(body, now=NOW)],
    ):
        try:
            found = read()
        except (FeedFailure, ValueError):
            continue
        for item in found:
            if isinstance(item, PriceTick):
                assert item.price_sol > 0
            else:
                assert item.mint == MINT


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["jupiter", "dexscreener"]), st.integers(1, 400)), min_size=8, max_size=40))
def test_no_price_is_held_up_for_more_than_two_waits_and_a_poll(polls: list[tuple[str, int]]) -> None:
    confirmation, counted = Confirmation(), NOW - timedelta(seconds=1)
    for second, (source, price) in enumerate(polls):
        now = NOW + timedelta(seconds=second)
        tick = PriceTick(MINT, Decimal(price), now, source)
        believed = [*confirmation.accept([tick], now=now), *confirmation.release(now=now)]
        counted = max([counted, *(item.observed_at for item in believed)])
        assert now - counted <= timedelta(seconds=7)
