"""Tapes: files read as ticks, and the synthetic market that is the same on every machine."""

import gzip
import hashlib
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from nexgent import clock, money
from prices.feeds import replay, synthetic
from prices.mints import is_mint

CANDLES = "time_ms,open,high,low,close,volume\n1000000,2,5,1,3,9\n1300000,3,4,1.5,2,9\n1900000,7,7,7,7,0\n"


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("name", ["tape.csv", "tape.csv.gz"])
def test_a_candle_is_four_ticks_at_its_quarters(tmp_path: Path, name: str) -> None:
    ticks = list(replay.ticks(write(tmp_path / name, CANDLES)))

    assert [(clock.to_ms(tick.observed_at), tick.price_sol) for tick in ticks[:8]] == [
        (1_000_000, 2),
        (1_075_000, 1),
        (1_150_000, 5),
        (1_225_000, 3),
        (1_300_000, 3),
        (1_375_000, 4),
        (1_450_000, Decimal("1.5")),
        (1_525_000, 2),
    ]
    assert len(ticks) == 12
    assert {tick.source for tick in ticks} == {"replay"}
    assert is_mint(ticks[0].mint)


def test_a_trade_is_one_tick_and_the_limit_counts_rows(tmp_path: Path) -> None:
    text = "time_ms,side,price,amount\n5,sell,1.23e-05,3\n5,buy,0.00002,1\n6,buy,3,1\n"
    path = write(tmp_path / "trades.csv", text)

    ticks = list(replay.ticks(path, 2))

    assert [tick.price_sol for tick in ticks] == [Decimal("0.0000123"), Decimal("0.00002")]
    assert len(list(replay.ticks(write(tmp_path / "c.csv", CANDLES), 1))) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "a tape has the columns"),
        ("", "a tape has the columns"),
        ("time_ms,price\n1,abc\n", "row 2: column 2 is no number"),
        ("time_ms,price\n1,1\n2,-1\n", "row 3: -1 is no price"),
        ("time_ms,price\n1.5,1\n", "no whole number of milliseconds"),
        ("time_ms,price\n1\n", "row 2: column 2 is no number"),
        ("price\n1\n", "no column time_ms"),
    ],
)
def test_a_bad_tape_names_its_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(replay.BadTape, match=message):
        list(replay.ticks(write(tmp_path / "bad.csv", text)))


def digest(seed: int, steps: int) -> str:
    lines = (f"{clock.to_ms(t.observed_at)}|{money.text(t.price_sol)}\n" for t in synthetic.tape(seed, steps=steps))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_synthetic_tape_is_the_same_on_every_machine() -> None:
    assert digest(7, 5000) == "9305a09faaf3c2c3a7b1e5e0bbc9294dbe63f58cbc3f9913cf2e5549759ae87a"
    assert digest(7, 5000) != digest(8, 5000)


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_synthetic_tape_offers_every_rule_its_move(seed: int) -> None:
    prices = [tick.price_sol for tick in synthetic.tape(seed, steps=6000)]
    steps_per_hour = 3600 // synthetic.STEP_SECONDS

    hour_gains = [(prices[i + steps_per_hour] / prices[i] - 1) * 100 for i in range(0, len(prices) - steps_per_hour, 5)]
    step_moves = [(after / before - 1) * 100 for before, after in pairwise(prices)]
    best = max(max(prices[i:]) / prices[i] for i in range(0, len(prices), 50))

    assert best > 13
    assert min(step_moves) < -60
    assert any(-60 <= move <= -20 for move in step_moves)
    assert any(1 <= gain <= 10 for gain in hour_gains)


def test_the_live_market_answers_its_own_mints_only() -> None:
    feed = synthetic.SyntheticFeed(seed=7, count=3)
    mints = list(feed.mints())

    answer = feed.prices([*mints, money.SOL_MINT, "unknown"], lane=synthetic.Lane.SIGNALS)

    assert [tick.mint for tick in answer.ticks] == mints
    assert all(is_mint(mint) for mint in mints)
    assert {tick.source for tick in answer.ticks} == {"synthetic"}
    assert answer.sol_usd is not None
    assert answer.sol_usd.price_usd == 150
    assert answer.ticks[0].liquidity_usd is not None
    assert [token.decimals for token in feed.tokens(mints)] == [6, 6, 6]


def test_the_live_market_goes_on_from_the_last_prices() -> None:
    feed = synthetic.SyntheticFeed(seed=7, count=1)
    (mint,) = feed.mints()

    feed.resume({mint: Decimal("0.0042")})

    (tick,) = feed.prices([mint], lane=synthetic.Lane.SIGNALS).ticks
    assert tick.price_sol == Decimal("0.0042")


def test_a_root_is_exact_to_twelve_digits() -> None:
    assert synthetic.root(Decimal(2), 2) == Decimal("1.41421356237")
    assert synthetic.root(Decimal("0.45"), 600) == Decimal("0.998670039023")
    assert synthetic.root(Decimal(13), 1) == 13
