"""Each invariant broken on purpose, guards off, as only the tables' owner can: the check finds it and names it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from nexgent.ids import uuid7
from nexgent.money import SOL_MINT
from tests.ledger import MINT, OTHER_MINT, START, Trader
from trading import books
from trading.invariants import INVARIANTS
from trading.models import Fill, Order, Position, Side, State
from wallets.models import Account, Entry, Hold, Posting

pytestmark = pytest.mark.django_db

SOL = 10**9


def run(sql: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


@contextmanager
def guards_off() -> Iterator[None]:
    """Triggers and keys of the ledger off; the triggers come back always on."""
    tables = ("entry", "posting", "account", "hold")
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("ALTER TABLE wallets_posting DROP CONSTRAINT posting_of_entry, DROP CONSTRAINT posting_on_account")
    run("ALTER TABLE wallets_account DROP CONSTRAINT account_covered")
    for table in tables:
        run(f"ALTER TABLE wallets_{table} DISABLE TRIGGER USER")
    yield
    run("SET CONSTRAINTS ALL IMMEDIATE")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'D'"
        )
        for table, name in cursor.fetchall():
            run(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


@pytest.fixture
def trader() -> Trader:
    """An open position with rent, a closed one, a partial sale, a hold: balanced."""
    trader = Trader()
    trader.deposit(10 * SOL)
    trader.buy(SOL, 1_000, fee=5, rent=7)
    trader.sell(400, SOL // 2, fee=5)
    trader.buy(SOL, 1_000, fee=5, rent=7, mint=OTHER_MINT)
    trader.sell(1_000, SOL, fee=5, protocol=3, mint=OTHER_MINT)
    trader.hold(trader.order(side=Side.BUY, amount=50), 50)
    assert books.check().problems == ()
    return trader


def found(corruption: Callable[[], object], *, deep: bool = True) -> set[str]:
    with guards_off():
        corruption()
    report = books.check(deep=deep)
    assert not report.balanced
    return {problem.invariant for problem in report.problems} - {"guards_on"}


def sold() -> Order:
    return Order.objects.filter(side=Side.SELL, token_id=MINT).get()


def test_an_entry_that_does_not_balance(trader):
    posting = Posting.objects.filter(kind="market", asset=MINT).first()

    names = found(lambda: Posting.objects.filter(pk=posting.pk).update(amount=posting.amount + 1))

    assert names == {"entries_balance", "balances_are_postings", "entries_are_fills"}


def test_an_entry_without_postings(trader):
    names = found(lambda: Entry.objects.create(wallet=trader.wallet, kind="DEPOSIT", at=START))

    assert names == {"entries_complete"}


def test_a_posting_of_another_wallet(trader):
    other = Trader()
    other.deposit(SOL)
    entry = Entry.objects.get(wallet=other.wallet)

    names = found(lambda: Posting.objects.filter(entry=entry).update(wallet=trader.wallet))

    assert names == {"entries_complete", "balances_are_postings"}


def test_a_balance_that_is_not_its_postings(trader):
    names = found(lambda: Account.objects.filter(asset=SOL_MINT, kind="own").update(balance=5 * SOL))

    assert names == {"balances_are_postings", "profit_is_equity"}


def test_held_that_is_not_the_holds(trader):
    assert found(lambda: Account.objects.filter(asset=SOL_MINT, kind="own").update(held=51)) == {"held_is_holds"}


def test_a_balance_below_what_is_held(trader):
    def corrupt() -> None:
        Account.objects.filter(asset=SOL_MINT, kind="own").update(held=20 * SOL)
        Hold.objects.update(amount=20 * SOL)

    assert found(corrupt, deep=False) == {"balances_covered"}


def test_a_hold_without_an_order(trader):
    assert found(lambda: run("UPDATE wallets_hold SET order_id = %s", uuid7())) == {"holds_have_open_orders"}


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_a_hold_of_an_order_that_is_over(trader, state):
    assert found(lambda: Order.objects.filter(state=State.PLANNED).update(state=state)) == {"holds_have_open_orders"}


def test_a_filled_order_without_a_fill(trader):
    assert found(lambda: Fill.objects.filter(order=sold()).delete()) == {"filled_once", "positions_are_fills"}


def test_a_filled_order_without_an_entry(trader):
    order = sold()

    names = found(lambda: Entry.objects.filter(order_id=order.id).update(order_id=None))

    assert names == {"filled_once"}


def test_an_entry_and_a_fill_of_an_order_that_failed(trader):
    assert found(lambda: Order.objects.filter(id=sold().id).update(state=State.FAILED)) == {"filled_once"}


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("amount_in", {"entries_are_fills", "positions_are_fills"}),
        ("amount_out", {"entries_are_fills", "positions_are_fills"}),
        ("network_fee_lamports", {"entries_are_fills", "positions_are_fills"}),
        ("realised_lamports", {"positions_are_fills"}),
    ],
)
@pytest.mark.parametrize("side", list(Side))
def test_a_fill_that_is_one_lamport_off(trader, side, field, names):
    fill = Fill.objects.filter(order__side=side).first()

    assert found(lambda: Fill.objects.filter(pk=fill.pk).update(**{field: getattr(fill, field) + 1})) == names


def test_a_purchases_rent_that_is_one_lamport_off(trader):
    buys = Fill.objects.filter(order__side=Side.BUY)

    assert found(lambda: buys.update(rent_lamports=8)) == {"entries_are_fills"}


@pytest.mark.parametrize(
    ("field", "value", "names"),
    [
        ("remaining_units", 599, {"tokens_are_positions", "positions_are_fills"}),
        ("remaining_units", 601, {"tokens_are_positions", "positions_are_fills"}),
        ("rent_lamports", 8, {"rent_is_positions"}),
        ("cost_lamports", 1, {"realised_is_received_less_cost", "profit_is_equity"}),
        ("realised_lamports", 1, {"realised_is_received_less_cost", "profit_is_equity", "positions_are_fills"}),
        ("received_lamports", 1, {"realised_is_received_less_cost", "positions_are_fills"}),
        ("invested_lamports", 1, {"realised_is_received_less_cost", "positions_are_fills"}),
        ("bought_units", 1, {"positions_are_fills"}),
    ],
)
def test_an_open_position_that_disagrees(trader, field, value, names):
    open_one = Position.objects.filter(closed_at=None)

    assert found(lambda: open_one.update(**{field: value})) == names


def test_a_position_closed_with_units_left(trader):
    names = found(lambda: Position.objects.filter(closed_at=None).update(closed_at=START, close_reason="manual"))

    assert names == {"closed_is_closed", "tokens_are_positions", "rent_is_positions"}


def test_a_position_closed_without_a_reason(trader):
    closed = Position.objects.exclude(closed_at=None)

    assert found(lambda: closed.update(close_reason="")) == {"closed_is_closed"}


def test_an_open_position_with_nothing_left(trader):
    closed = Position.objects.exclude(closed_at=None)

    assert found(lambda: closed.update(closed_at=None)) == {"closed_is_closed", "rent_is_positions"}


def test_tokens_burned_that_no_position_wrote_off(trader):
    trader.write_off()

    names = found(lambda: Account.objects.filter(kind="burned").update(balance=599), deep=True)

    assert names == {"balances_are_postings", "positions_are_fills"}


def test_a_loss_that_is_not_booked(trader):
    trader.write_off()
    lost = Position.objects.get(close_reason="write_off")

    names = found(lambda: Position.objects.filter(id=lost.id).update(realised_lamports=0))

    assert names == {"realised_is_received_less_cost", "profit_is_equity"}


@pytest.mark.parametrize(
    ("sql", "subject"),
    [
        ("ALTER TABLE wallets_posting DISABLE TRIGGER posting_added", "posting_added"),
        ("ALTER TABLE wallets_posting ENABLE TRIGGER posting_immutable", "posting_immutable"),
        ("DROP TRIGGER account_guarded ON wallets_account", "account_guarded"),
        ("ALTER TABLE wallets_account DROP CONSTRAINT account_covered", "account_covered"),
        ("DROP INDEX entry_order_once", "entry_order_once"),
    ],
)
def test_a_guard_that_is_off(trader, sql, subject):
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run(sql)

    report = books.check(deep=False)

    assert [(p.invariant, p.subject) for p in report.problems] == [("guards_on", subject)]


def test_every_invariant_is_broken_by_a_test_above():
    with open(__file__, encoding="utf-8") as file:
        text = file.read()

    assert [i.name for i in INVARIANTS if f'"{i.name}"' not in text] == []
    assert all(i.sentence.endswith(".") for i in INVARIANTS)


def test_problems_are_counted_past_the_limit(trader):
    def corrupt() -> None:
        for _ in range(23):
            Entry.objects.create(wallet=trader.wallet, kind="DEPOSIT", at=START)

    found(corrupt)

    problems = [p for p in books.check().problems if p.invariant == "entries_complete"]
    assert len(problems) == 21
    assert problems[-1].detail == "and 3 more"


def test_the_command_exits_with_1(trader):
    with guards_off():
        Position.objects.update(realised_lamports=1)
    out = StringIO()

    with pytest.raises(SystemExit) as caught:
        call_command("books", "--check", stdout=out)

    assert caught.value.code == 1
    assert "profit_is_equity" in out.getvalue()
