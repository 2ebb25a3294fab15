"""The books over real trades: a worked example to read, and what the command prints."""

import json
from collections.abc import Callable
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command

from nexgent.money import LAMPORTS_PER_SOL, SOL_MINT, sol, text
from tests.ledger import MINT, OTHER_MINT, Trader
from trading import books
from trading.models import Side
from wallets import selectors
from wallets.models import Account

pytestmark = pytest.mark.django_db

SOL = LAMPORTS_PER_SOL
TOKEN = 10**6


TABLE = """
step                                    own SOL    own T  rent   fees   cost    realised  equity
deposit 10 SOL                          10         0      0      0      0       0         10
buy 1000 T for 1, fee .001, rent .002   8.997      1000   0.002  0.001  1.001   0         10
sell 400 T for .6, fee .001             9.596      600    0.002  0.002  0.6006  0.1986    10.1986
sell 600 T for .3, fee .001             9.897      0      0      0.003  0       -0.103    9.897
withdraw 9 SOL                          0.897      0      0      0.003  0       -0.103    0.897
"""
"""SOL and whole tokens. Cost of the partial sale: 1.001 x 400 / 1000 = 0.4004; realised 0.599 - 0.4004 = 0.1986.
In all 0.599 + 0.299 received - 1.001 paid = -0.103. Equity = own SOL + rent + cost of what is held."""


def test_trades_an_accountant_can_follow():
    trader = Trader()
    steps: list[Callable[[], object]] = [
        lambda: trader.deposit(10 * SOL),
        lambda: trader.buy(SOL, 1_000 * TOKEN, fee=1_000_000, rent=2_000_000),
        lambda: trader.sell(400 * TOKEN, 600_000_000, fee=1_000_000),
        lambda: trader.sell(600 * TOKEN, 300_000_000, fee=1_000_000),
        lambda: trader.withdraw(9 * SOL),
    ]

    for step, line in zip(steps, TABLE.strip().splitlines()[1:], strict=True):
        step()
        assert line[:40].strip() + "  " + "  ".join(line[40:].split()) == line[:40].strip() + "  " + row(trader)

    report = books.check()
    assert (report.balanced, report.entries, report.problems) == (True, 5, ())
    assert report.figures["equityLamports"] - report.figures["flowsLamports"] == -103_000_000


def row(trader: Trader) -> str:
    balances, figures = selectors.balances(trader.wallet.id), books.check().figures
    columns = ("solLamports", "rentLamports", "feesLamports", "positionsLamports", "realisedLamports", "equityLamports")
    own, rent, fees, cost, realised, equity = (text(sol(figures[name])) for name in columns)
    units = balances[MINT].units // TOKEN if MINT in balances else 0
    return "  ".join((own, str(units), rent, fees, cost, realised, equity))


def test_every_account_of_a_trade_has_its_side():
    trader = Trader()
    trader.deposit(10 * SOL)

    position = trader.buy(SOL, 1_000 * TOKEN, fee=1_000_000, rent=2_000_000)

    accounts = Account.objects.filter(wallet=trader.wallet).values_list("kind", "asset", "balance")
    assert set(accounts) == {
        ("own", SOL_MINT, 8_997_000_000),
        ("market", SOL_MINT, 1_000_000_000),
        ("fees", SOL_MINT, 1_000_000),
        ("rent", SOL_MINT, 2_000_000),
        ("external", SOL_MINT, -10_000_000_000),
        ("own", MINT, 1_000_000_000),
        ("market", MINT, -1_000_000_000),
    }
    assert (position.invested_lamports, position.cost_lamports) == (1_001_000_000, 1_001_000_000)


def test_d28_rent_is_a_deposit_and_neither_cost_nor_profit():
    """D-28: three formulas disagreed, and rent counted as a fee. One formula; rent is money that comes back."""
    with_rent, without = Trader(), Trader()
    for trader, rent in ((with_rent, 2_039_280), (without, 0)):
        trader.deposit(10 * SOL)
        trader.buy(SOL, 1_000 * TOKEN, fee=5_000, rent=rent)

    assert selectors.balances(with_rent.wallet.id)[SOL_MINT].units == 10 * SOL - SOL - 5_000 - 2_039_280
    assert books.check().figures["equityLamports"] == 20 * SOL

    first, second = (t.sell(1_000 * TOKEN, 1_500_000_000, fee=5_000) for t in (with_rent, without))

    assert first.realised_lamports == second.realised_lamports == 499_990_000
    assert first.invested_lamports == second.invested_lamports == 1_000_005_000
    assert selectors.balances(with_rent.wallet.id) == selectors.balances(without.wallet.id)
    assert books.check().balanced


def test_the_price_moves_unrealised_and_equity_alike():
    trader = Trader()
    trader.deposit(10 * SOL)
    trader.buy(SOL, 1_000 * TOKEN, fee=1_000_000)
    trader.buy(2 * SOL, 500 * TOKEN, mint=OTHER_MINT)

    figures = books.check(prices={MINT: Decimal("0.0015")}).figures

    assert figures["positionsLamports"] == 1_500_000_000 + 2_000_000_000
    assert figures["unrealisedLamports"] == 499_000_000
    assert figures["equityLamports"] - figures["flowsLamports"] == 499_000_000


def test_averaging_down_write_off_and_several_positions_balance():
    trader = Trader()
    trader.deposit(10 * SOL)
    trader.buy(SOL, 1_000 * TOKEN, fee=7, rent=11)
    trader.buy(SOL, 3_000 * TOKEN, fee=7, rent=11)
    trader.buy(SOL // 3, 777, mint=OTHER_MINT, fee=7, rent=11)
    trader.sell(1_234_567_891, 987_654_321, fee=7, protocol=13)
    loss = trader.write_off()
    trader.sell(77, 5, mint=OTHER_MINT, fee=7)
    trader.withdraw(SOL)

    report = books.check()

    assert report.problems == ()
    assert loss.realised_lamports == loss.received_lamports - loss.invested_lamports
    assert report.entries == 8


def test_a_hold_of_an_open_order_is_no_problem():
    trader = Trader()
    trader.deposit(SOL)
    trader.hold(trader.order(side=Side.BUY, amount=5), 5)

    report = books.check()

    assert report.problems == ()
    assert report.figures["heldLamports"] == 5


def test_the_command_prints_the_report():
    trader = Trader()
    trader.deposit(SOL)
    out, words = StringIO(), StringIO()

    call_command("books", "--check", "--json", stdout=out)
    call_command("books", "--check", stdout=words)

    report = json.loads(out.getvalue())
    assert (report["balanced"], report["entries"], report["problems"]) == (True, 1, [])
    assert report["figures"]["solLamports"] == SOL
    assert "1 entries, the books balance" in words.getvalue()
