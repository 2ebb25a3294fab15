"""Many threads on one wallet and on several: no deadlock, nothing lost, nothing overdrawn."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from nexgent.errors import Refusal
from nexgent.ids import uuid7
from nexgent.money import SOL_MINT
from tests.ledger import MINT, START, new_wallet
from trading import books
from wallets import selectors, services
from wallets.models import AccountKind, Entry, EntryKind, Hold
from wallets.selectors import Balance

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8
ROUNDS = 15


def together(work: Callable[[int], Any]) -> list[Any]:
    """Run `work(0..7)` in threads that start at once; the first exception is raised."""
    gate = threading.Barrier(THREADS)

    def run(number: int) -> Any:
        try:
            gate.wait(10)
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def funded(lamports: int) -> UUID:
    wallet = new_wallet()
    services.deposit(wallet_id=wallet.id, lamports=lamports, author="test", at=START)
    return wallet.id


def buy(wallet_id: UUID, lamports: int, units: int) -> services.Draft:
    lines = (
        services.Line(SOL_MINT, AccountKind.OWN, -lamports),
        services.Line(SOL_MINT, AccountKind.MARKET, lamports),
        services.Line(MINT, AccountKind.OWN, units),
        services.Line(MINT, AccountKind.MARKET, -units),
    )
    return services.Draft(wallet_id, EntryKind.SWAP, START, lines, order_id=uuid7())


def trade(wallet_ids: Sequence[UUID]) -> None:
    """Hold, then fill, of one lamport per wallet: two transactions, as an order's life has."""
    drafts = [buy(wallet_id, 1, 2) for wallet_id in wallet_ids]
    orders = [draft.order_id for draft in drafts if draft.order_id]
    with transaction.atomic():
        services.lock(wallet_ids)
        services.hold([services.NewHold(o, w, SOL_MINT, 1, START) for o, w in zip(orders, wallet_ids, strict=True)])
    with transaction.atomic():
        services.lock(wallet_ids)
        services.release(orders)
        services.post(drafts)


def ledger_problems() -> set[str]:
    """What is wrong with the ledger itself; these trades have no orders and no positions."""
    without_trading = {"filled_once", "tokens_are_positions", "profit_is_equity"}
    return {problem.invariant for problem in books.check().problems} - without_trading


def test_d5_parallel_trades_on_one_wallet_lose_no_update():
    """D-5: the reference computed the new balance from a cached value; two buys in a row debited once."""
    wallet_id = funded(1_000)

    together(lambda _: [trade([wallet_id]) for _ in range(ROUNDS)])

    trades = THREADS * ROUNDS
    held = selectors.balances(wallet_id)
    assert held == {
        SOL_MINT: Balance(1_000 - trades, 0, 1_000 - trades),
        MINT: Balance(2 * trades, 0, 2 * trades),
    }
    assert Entry.objects.filter(kind=EntryKind.SWAP).count() == trades
    assert ledger_problems() == set()


def test_d5_parallel_holds_never_promise_the_same_lamport_twice():
    wallet_id = funded(10)

    def hold_three(number: int) -> str:
        try:
            with transaction.atomic():
                services.lock([wallet_id])
                services.hold([services.NewHold(uuid7(), wallet_id, SOL_MINT, 3, START)])
        except Refusal as refusal:
            return refusal.code
        return "held"

    outcomes = together(hold_three)

    assert sorted(outcomes) == ["INSUFFICIENT_BALANCE"] * 5 + ["held"] * 3
    assert selectors.balances(wallet_id)[SOL_MINT] == Balance(10, 9, 1)
    assert Hold.objects.count() == 3


def test_parallel_trades_on_overlapping_sets_of_wallets_never_deadlock():
    wallet_ids = [funded(1_000) for _ in range(5)]
    expected = dict.fromkeys(wallet_ids, 1_000)
    plans = [[random.Random(f"{n}.{r}").sample(wallet_ids, 3) for r in range(ROUNDS)] for n in range(THREADS)]
    for wallets in (chosen for plan in plans for chosen in plan):
        for wallet_id in wallets:
            expected[wallet_id] -= 1

    together(lambda number: [trade(chosen) for chosen in plans[number]])

    assert {w: b.units for w, b in selectors.sol_balances(wallet_ids).items()} == expected
    assert all(selectors.balances(w)[MINT].units == 2 * (1_000 - expected[w]) for w in wallet_ids)
    assert ledger_problems() == set()


def test_parallel_deposits_and_withdrawals_add_up():
    wallet_id = funded(100)

    def work(number: int) -> int:
        refused = 0
        for _ in range(ROUNDS):
            services.deposit(wallet_id=wallet_id, lamports=3, author="test")
            try:
                services.withdraw(wallet_id=wallet_id, lamports=7, author="test")
            except Refusal:
                refused += 1
        return refused

    refused = sum(together(work))

    trades = THREADS * ROUNDS
    assert selectors.balances(wallet_id).get(SOL_MINT, Balance(0, 0, 0)).units == 100 + 3 * trades - 7 * (
        trades - refused
    )
    assert refused > 0
    assert books.check().problems == ()
