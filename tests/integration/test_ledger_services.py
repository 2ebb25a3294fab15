"""Deposits, withdrawals, adjustments, holds and entries through the services."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.events.models import Event
from nexgent.ids import uuid7
from nexgent.money import LAMPORTS_PER_SOL, SOL_MINT
from tests.ledger import MINT, OTHER_MINT, START, new_wallet
from wallets import selectors, services
from wallets.models import Account, AccountKind, Entry, EntryKind, Hold, Posting, Wallet
from wallets.selectors import Balance
from wallets.services import Draft, Line, NewHold

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet() -> Wallet:
    """A simulation wallet with 1,000 lamports."""
    wallet = new_wallet()
    services.deposit(wallet_id=wallet.id, lamports=1_000, author="anna", at=START)
    return wallet


def code_of(action: Callable[[], Any]) -> str:
    with pytest.raises(Refusal) as caught:
        action()
    return caught.value.code


def sol(wallet: Wallet) -> Balance:
    return selectors.sol_balances([wallet.id])[wallet.id]


def swap(wallet: Wallet, lamports: int, units: int, *, mint: str = MINT, **fields: Any) -> Draft:
    lines = (
        Line(SOL_MINT, AccountKind.OWN, -lamports),
        Line(SOL_MINT, AccountKind.MARKET, lamports),
        Line(mint, AccountKind.OWN, units),
        Line(mint, AccountKind.MARKET, -units),
    )
    return Draft(wallet.id, EntryKind.SWAP, START, lines, **fields)


def test_a_simulation_wallet_has_an_address_of_its_own_and_nothing_in_it():
    first, second = new_wallet(), new_wallet()

    assert first.address.startswith("sim_")
    assert len(first.address) <= 44
    assert first.address != second.address
    assert selectors.balances(first.id) == {}
    assert sol(first) == Balance(0, 0, 0)


def test_a_live_wallet_brings_its_address():
    assert code_of(lambda: new_wallet(kind="live")) == "VALIDATION_ERROR"
    assert new_wallet(kind="live", address=OTHER_MINT).address == OTHER_MINT


def test_deposit_and_withdrawal_post_both_sides(wallet):
    entry = services.withdraw(wallet_id=wallet.id, lamports=300, author="anna", at=START + timedelta(hours=1))

    assert (entry.kind, entry.author, entry.at, entry.epoch) == ("WITHDRAWAL", "anna", START + timedelta(hours=1), 1)
    lines = Posting.objects.filter(entry=entry).order_by("line").values_list("line", "kind", "asset", "amount")
    assert list(lines) == [(0, "own", SOL_MINT, -300), (1, "external", SOL_MINT, 300)]
    assert sol(wallet) == Balance(700, 0, 700)
    assert Account.objects.get(wallet=wallet, kind=AccountKind.EXTERNAL).balance == -700


def test_a_withdrawal_leaves_what_is_held(wallet):
    services.hold([NewHold(uuid7(), wallet.id, SOL_MINT, 400, START)])

    refusal = code_of(lambda: services.withdraw(wallet_id=wallet.id, lamports=601, author="anna"))
    services.withdraw(wallet_id=wallet.id, lamports=600, author="anna")

    assert refusal == "INSUFFICIENT_BALANCE"
    assert sol(wallet) == Balance(400, 400, 0)


def test_an_adjustment_needs_a_reason(wallet):
    refusal = code_of(
        lambda: services.adjust(wallet_id=wallet.id, asset=SOL_MINT, amount=5, reason="  ", author="anna")
    )
    entry = services.adjust(wallet_id=wallet.id, asset=SOL_MINT, amount=-5, reason="counted twice", author="anna")

    assert refusal == "VALIDATION_ERROR"
    assert (entry.kind, entry.reason) == ("ADJUSTMENT", "counted twice")
    assert sol(wallet).units == 995


def test_an_adjustment_takes_no_tokens_that_a_position_bought(wallet):
    services.post([swap(wallet, 100, 50)])
    services.adjust(wallet_id=wallet.id, asset=MINT, amount=10, reason="airdrop", author="anna")

    refusal = code_of(lambda: services.adjust(wallet_id=wallet.id, asset=MINT, amount=-11, reason="x", author="anna"))
    services.adjust(wallet_id=wallet.id, asset=MINT, amount=-10, reason="airdrop taken back", author="anna")

    assert refusal == "INSUFFICIENT_BALANCE"
    assert selectors.balances(wallet.id)[MINT] == Balance(50, 0, 50)


def test_live_wallets_follow_the_chain_only():
    live = new_wallet(kind="live", address=OTHER_MINT)

    refusals = [
        code_of(lambda: services.deposit(wallet_id=live.id, lamports=1, author="anna")),
        code_of(lambda: services.withdraw(wallet_id=live.id, lamports=1, author="anna")),
        code_of(lambda: services.adjust(wallet_id=live.id, asset=SOL_MINT, amount=1, reason="x", author="anna")),
    ]

    assert refusals == ["LIVE_WALLET"] * 3
    assert Entry.objects.filter(wallet=live).count() == 0


def test_an_unknown_wallet_is_not_found():
    with pytest.raises(NotFound) as caught:
        services.deposit(wallet_id=uuid7(), lamports=1, author="anna")

    assert caught.value.code == "WALLET_NOT_FOUND"


def test_d25_no_balance_goes_below_nothing(wallet):
    """D-25: the reference's balances API accepted negative values and deposits into live wallets."""
    refusals = [
        code_of(lambda: services.withdraw(wallet_id=wallet.id, lamports=1_001, author="anna")),
        code_of(lambda: services.adjust(wallet_id=wallet.id, asset=SOL_MINT, amount=-1_001, reason="x", author="anna")),
        code_of(lambda: services.deposit(wallet_id=wallet.id, lamports=-5, author="anna")),
        code_of(lambda: services.deposit(wallet_id=wallet.id, lamports=0, author="anna")),
    ]
    with pytest.raises(IntegrityError, match="account_covered"), transaction.atomic():
        services.post([swap(wallet, 1_001, 5)])

    assert refusals == ["INSUFFICIENT_BALANCE", "INSUFFICIENT_BALANCE", "VALIDATION_ERROR", "VALIDATION_ERROR"]
    assert sol(wallet) == Balance(1_000, 0, 1_000)
    assert Entry.objects.filter(wallet=wallet).count() == 1


def test_d26_an_amount_is_never_guessed_to_be_lamports(wallet):
    """D-26: the reference took balances above 1,000,000 SOL for lamports. Here a unit is a unit, at any size."""
    huge = 50_000_000 * LAMPORTS_PER_SOL

    services.deposit(wallet_id=wallet.id, lamports=huge, author="anna")

    assert sol(wallet).units == huge + 1_000
    for guess in (1.5, Decimal("1.5"), Decimal(2), "2", True):
        with pytest.raises(InvalidInput):
            services.deposit(wallet_id=wallet.id, lamports=guess, author="anna")  # type: ignore[arg-type]
    assert sol(wallet).units == huge + 1_000


def test_amounts_of_twenty_digits_and_more_stay_exact(wallet):
    units = 123_456_789_012_345_678_901_234_567

    services.adjust(wallet_id=wallet.id, asset=MINT, amount=units, reason="stock", author="anna")
    services.adjust(wallet_id=wallet.id, asset=MINT, amount=-1, reason="stock", author="anna")

    assert selectors.balances(wallet.id)[MINT].units == units - 1


def test_holds_are_all_or_nothing_and_add_up(wallet):
    pair = [NewHold(uuid7(), wallet.id, SOL_MINT, 600, START), NewHold(uuid7(), wallet.id, SOL_MINT, 401, START)]

    with pytest.raises(Refusal) as caught:
        services.hold(pair)
    services.hold(pair[:1])

    assert caught.value.code == "INSUFFICIENT_BALANCE"
    assert caught.value.details == {
        "tokenAddress": SOL_MINT,
        "requiredUnits": "1001",
        "availableUnits": "1000",
    }
    assert sol(wallet) == Balance(1_000, 600, 400)
    assert Hold.objects.count() == 1


def test_nothing_is_held_of_an_asset_that_is_not_there(wallet):
    assert code_of(lambda: services.hold([NewHold(uuid7(), wallet.id, MINT, 1, START)])) == "INSUFFICIENT_BALANCE"


def test_release_is_idempotent(wallet):
    first, second = uuid7(), uuid7()
    services.hold([NewHold(order, wallet.id, SOL_MINT, 100, START) for order in (first, second)])

    services.release([first])
    services.release([first, uuid7()])
    services.release([])

    assert sol(wallet) == Balance(1_000, 100, 900)


def test_lock_names_a_wallet_that_is_missing(wallet):
    with pytest.raises(NotFound):
        services.lock([wallet.id, uuid7()])
    services.lock([wallet.id, wallet.id])
    services.lock([])

    assert sol(wallet).units == 1_000


def test_post_writes_many_entries_of_many_wallets_at_once(wallet):
    other = new_wallet()
    services.deposit(wallet_id=other.id, lamports=500, author="anna")
    drafts = [swap(wallet, 100, 7), swap(other, 200, 9), swap(wallet, 50, 3, mint=OTHER_MINT)]

    with CountedStatements() as statements:
        services.post(drafts)

    assert statements.count == 3
    assert {m: b.units for m, b in selectors.balances(wallet.id).items()} == {SOL_MINT: 850, MINT: 7, OTHER_MINT: 3}
    assert {m: b.units for m, b in selectors.balances(other.id).items()} == {SOL_MINT: 300, MINT: 9}


class CountedStatements:
    """Counts statements on the connection."""

    count = 0

    def __enter__(self) -> "CountedStatements":
        self._context = connection.execute_wrapper(self._counted)
        self._context.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self._context.__exit__(*problem)

    def _counted(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.count += 1
        return execute(sql, params, many, context)


def test_post_leaves_lines_of_nothing_out(wallet):
    draft = swap(wallet, 100, 7)
    lines = (Line(SOL_MINT, AccountKind.FEES, 0), *draft.lines, Line(SOL_MINT, AccountKind.RENT, 0))

    services.post([Draft(wallet.id, EntryKind.SWAP, START, lines)])

    entry = Entry.objects.get(kind=EntryKind.SWAP)
    assert [p.line for p in Posting.objects.filter(entry=entry).order_by("line")] == [0, 1, 2, 3]
    assert not Account.objects.filter(wallet=wallet, kind__in=["fees", "rent"]).exists()


def test_post_works_inside_a_pipeline(wallet):
    """The engine sends hold, entry and release without waiting for an answer in between."""
    order_id = uuid7()
    services.hold([NewHold(order_id, wallet.id, SOL_MINT, 100, START)])

    with connection.cursor() as cursor, cursor.connection.pipeline():
        services.release([order_id])
        services.post([swap(wallet, 100, 7, order_id=order_id)])

    assert sol(wallet) == Balance(900, 0, 900)
    assert Entry.objects.get(order_id=order_id).kind == EntryKind.SWAP


def test_balances_as_of_any_time(wallet):
    services.adjust(wallet_id=wallet.id, asset=MINT, amount=5, reason="x", author="a", at=START + timedelta(hours=1))
    services.withdraw(wallet_id=wallet.id, lamports=1_000, author="a", at=START + timedelta(hours=2))
    services.hold([NewHold(uuid7(), wallet.id, MINT, 2, START)])

    before = selectors.balances(wallet.id, at=START - timedelta(microseconds=1))
    at_start = selectors.balances(wallet.id, at=START)
    later = selectors.balances(wallet.id, at=START + timedelta(minutes=90))
    now = selectors.balances(wallet.id)

    assert before == {}
    assert at_start == {SOL_MINT: Balance(1_000, 0, 1_000)}
    assert later == {SOL_MINT: Balance(1_000, 0, 1_000), MINT: Balance(5, 0, 5)}
    assert now == {MINT: Balance(5, 2, 3)}


def test_an_event_is_appended_where_it_is_asked_for(wallet):
    stream = uuid7()

    entry = services.deposit(wallet_id=wallet.id, lamports=250, author="anna", at=START, stream_id=stream)
    services.deposit(wallet_id=wallet.id, lamports=1, author="anna", at=START)

    event = Event.objects.get(stream_id=stream)
    assert (event.seq, event.type, event.at) == (1, "balance_update", START)
    assert event.payload == {
        "transactionId": str(entry.id),
        "transactionType": "DEPOSIT",
        "walletAddress": wallet.address,
        "tokenAddress": SOL_MINT,
        "amountUnits": "250",
        "balanceUnits": "1250",
    }
