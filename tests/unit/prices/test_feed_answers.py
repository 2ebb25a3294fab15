"""What the feeds read out of an answer: each mint by itself, missing fields loudly, senseless values refused."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from nexgent.money import SOL_MINT
from prices.feeds import chain, dexscreener, jupiter, pyth
from prices.feeds.protocol import FeedFailure
from prices.feeds.provider import parse_json, retry_after
from prices.mints import is_mint, mint_of
from tests.fakes.dexscreener import pair
from tests.fakes.loopback import Raw, wire_json
from tests.fakes.rpc import mint_account

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
GOOD, BAD = mint_of(b"a" * 32), mint_of(b"b" * 32)


def read(value: object) -> object:
    return parse_json(wire_json(value), "test")


def test_the_price_in_sol_is_usd_over_sol_usd_of_the_same_answer() -> None:
    body = read({SOL_MINT: {"usdPrice": 150}, GOOD: {"usdPrice": Raw("0.1"), "liquidity": Raw("123.45")}})

    answer = jupiter.parse_prices(body, [GOOD], at=NOW)

    assert answer.ticks[0].price_sol == Decimal("0.000666666666666666666667")
    assert answer.ticks[0].price_usd == Decimal("0.1")
    assert answer.ticks[0].liquidity_usd == Decimal("123.45")
    assert answer.sol_usd is not None
    assert answer.sol_usd.price_usd == 150


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"usdPrice": None},
        {"usdPrice": Raw("NaN")},
        {"usdPrice": Raw("Infinity")},
        {"usdPrice": Raw("-Infinity")},
        {"usdPrice": -1},
        {"usdPrice": 0},
        {"usdPrice": True},
        {"usdPrice": "cheap"},
        {"usdPrice": "NaN"},
        {"usdPrice": Raw("1e-60")},
        {"usdPrice": Raw("1e60")},
        {"usdPrice": Raw("1e999999")},
        {"usdPrice": [1]},
        "2",
        7,
    ],
)
def test_a_senseless_value_is_refused_and_the_others_stay(record: object) -> None:
    body = read({SOL_MINT: {"usdPrice": 150}, BAD: record, GOOD: {"usdPrice": 2}})

    answer = jupiter.parse_prices(body, [BAD, GOOD], at=NOW)

    assert [tick.mint for tick in answer.ticks] == [GOOD]
    assert list(answer.rejected) == [BAD]


def test_a_mint_that_is_left_out_is_neither_priced_nor_refused() -> None:
    answer = jupiter.parse_prices(read({SOL_MINT: {"usdPrice": 150}}), [GOOD], at=NOW)

    assert (answer.ticks, answer.rejected) == ((), {})


@pytest.mark.parametrize("body", [{}, [], None, {SOL_MINT: {"usdPrice": 0}}, {SOL_MINT: {}}])
def test_an_answer_without_sol_is_no_answer(body: object) -> None:
    with pytest.raises(FeedFailure) as failure:
        jupiter.parse_prices(body, [GOOD], at=NOW)
    assert failure.value.code == "malformed"


def test_decimals_come_as_they_are_written() -> None:
    body = read({SOL_MINT: {"usdPrice": "3"}, GOOD: {"usdPrice": Raw("0.300000000000000000000000000003")}})

    answer = jupiter.parse_prices(body, [GOOD], at=NOW)

    assert answer.ticks[0].price_usd == Decimal("0.300000000000000000000000000003")
    assert answer.ticks[0].price_sol == Decimal("0.1")


def test_dexscreener_takes_the_deepest_sol_pool_and_no_other_currency() -> None:
    pools = [
        pair(GOOD, "9", quote="EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", liquidity={"usd": 900000}),
        pair(GOOD, "0.001", liquidity={"usd": 10, "quote": 1}),
        pair(GOOD, "0.002", liquidity={"usd": 20, "quote": 1}, pairAddress="deep"),
        pair(BAD, "7", liquidity={"usd": 1000}),
    ]

    best = dexscreener.best_pair(pools, GOOD)

    assert best is not None
    assert (best.price_sol, best.pair_address) == (Decimal("0.002"), "deep")


def test_dexscreener_missing_windows_liquidity_and_usd_are_no_trouble() -> None:
    pool = pair(GOOD, "0.001")
    for name in ("priceUsd", "liquidity", "priceChange", "txns"):
        del pool[name]

    answer = dexscreener.parse_answer([pool], [GOOD], at=NOW)

    assert answer.ticks[0].price_sol == Decimal("0.001")
    assert answer.ticks[0].price_usd is None


def test_dexscreener_rejects_a_bad_price_of_the_deepest_pool() -> None:
    answer = dexscreener.parse_answer([pair(GOOD, "NaN"), pair(BAD, "2")], [GOOD, BAD], at=NOW)

    assert [tick.mint for tick in answer.ticks] == [BAD]
    assert list(answer.rejected) == [GOOD]


@pytest.mark.parametrize(
    "pools", [None, [], [pair(GOOD, "1", quote="USDC")], [pair(GOOD, "1", liquidity={"usd": 5, "quote": 0.01})]]
)
def test_d11_no_feed_alone_proves_a_rug_pull(pools: list[object] | None) -> None:
    verdict = dexscreener.rug_verdict(pools, mint=GOOD, minimum_sol=Decimal(10))

    assert verdict.is_rug_pull is False
    assert verdict.check_failed is (pools is None)


def update(*, age: int = 0, **changes: object) -> dict[str, object]:
    quote = {"price": "15000000000", "conf": "7500000", "expo": -8}
    quote |= {"publish_time": int(NOW.timestamp()) - age, **changes}
    return {"parsed": [{"id": "ff" * 32, "price": {}}, {"id": pyth.SOL_USD_ID, "price": quote}]}


def test_pyth_reads_the_feed_by_its_exact_id() -> None:
    tick = pyth.parse_update(update(), now=NOW)

    assert (tick.price_usd, tick.source, tick.observed_at) == (Decimal(150), "pyth", NOW)


def test_pyth_takes_an_exponent_of_zero_as_zero() -> None:
    tick = pyth.parse_update(update(price="150", conf="1", expo=0), now=NOW)

    assert tick.price_usd == 150


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (update(age=31), "too old"),
        (update(age=-60), "in the future"),
        (update(conf="150000001"), "above 1 %"),
        (update(price="0"), "price is 0"),
        (update(price="-5"), "price is -"),
        (update(price="NaN"), "price is NaN"),
        (update(price=None), "price is missing"),
        (update(expo=400), "expo is 400"),
        ({"parsed": []}, "not in the answer"),
        ({"parsed": [{"id": "0x" + pyth.SOL_USD_ID, "price": {}}]}, "not in the answer"),
        ({}, "no parsed prices"),
        ("x", "no parsed prices"),
    ],
)
def test_d2_pyth_gives_a_good_price_or_none(body: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        pyth.parse_update(body, now=NOW)


def test_pyth_confidence_of_exactly_one_per_cent_counts() -> None:
    assert pyth.parse_update(update(conf="150000000"), now=NOW).price_usd == 150


def test_facts_of_a_token_are_typed_and_of_that_mint_only() -> None:
    body = read(
        [
            {"id": BAD, "decimals": 6},
            {
                "id": GOOD,
                "symbol": "BONK",
                "name": "Bonk",
                "decimals": 5,
                "tokenProgram": "P",
                "mcap": Raw("1234567.891"),
                "liquidity": Raw("NaN"),
                "holderCount": "many",
                "audit": {"mintAuthorityDisabled": True, "isSus": True},
                "createdAt": "2026-10-01T12:00:00Z",
            },
        ]
    )

    (token,) = jupiter.parse_tokens(body, frozenset([GOOD]))

    assert (token.decimals, token.symbol, token.program) == (5, "BONK", "P")
    assert token.facts == {
        "marketCapUsd": "1234567.891",
        "mintAuthorityDisabled": True,
        "isFlagged": True,
        "createdAt": "2026-10-01T12:00:00+00:00",
    }


def test_retry_after_in_seconds_as_a_date_and_by_window_reset() -> None:
    assert retry_after({"retry-after": "7"}, now=NOW) == 7
    assert retry_after({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, now=NOW) == 30
    assert retry_after({"x-ratelimit-reset": str(int(NOW.timestamp()) + 4)}, now=NOW) == 4
    assert retry_after({"retry-after": "soon"}, now=NOW) is None
    assert retry_after({}, now=NOW + timedelta(seconds=1)) is None


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b'{"a": 1', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    with pytest.raises(FeedFailure) as failure:
        parse_json(body, "test")
    assert failure.value.code == "malformed"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (SOL_MINT, True),
        (SOL_MINT.replace("S", "0"), False),
        ("Tok1AAAA1111111111111111111111111111111111", False),
        ("11111111111111111111111111111111", True),
        ("1111111111111111111111111111111", False),
        ("", False),
        ("é" * 40, False),
    ],
)
def test_a_mint_is_base58_of_32_bytes(text: str, is_one: bool) -> None:
    assert is_mint(text) is is_one


def test_the_chain_tells_decimals_and_authorities_of_both_token_programs() -> None:
    new_program = "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"
    accounts = [mint_account(decimals=6), mint_account(decimals=9, mint_authority=True, owner=new_program), None]
    body = {"jsonrpc": "2.0", "id": 1, "result": {"context": {"slot": 1}, "value": accounts}}

    one, two = chain.parse_mints(body, [GOOD, BAD, SOL_MINT])

    assert (one.mint, one.decimals, one.facts["mintAuthorityDisabled"]) == (GOOD, 6, True)
    assert (two.mint, two.decimals, two.program) == (BAD, 9, new_program)
    assert two.facts == {"mintAuthorityDisabled": False, "freezeAuthorityDisabled": True}


@pytest.mark.parametrize(
    "account",
    [
        mint_account(decimals=6, owner="11111111111111111111111111111111"),
        {**mint_account(decimals=6), "data": ["AAAA", "base64"]},
        {**mint_account(decimals=6), "data": ["%%%", "base64"]},
        {**mint_account(decimals=6), "data": []},
        {"owner": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"},
        7,
    ],
)
def test_an_account_that_is_no_mint_describes_no_token(account: object) -> None:
    assert chain.parse_mints({"result": {"value": [account]}}, [GOOD]) == []


@pytest.mark.parametrize("body", [{}, [], {"error": {"code": -32005}}, {"result": {"value": []}}])
def test_an_rpc_answer_of_another_shape_is_malformed(body: object) -> None:
    with pytest.raises(FeedFailure) as failure:
        chain.parse_mints(body, [GOOD])
    assert failure.value.code == "malformed"
