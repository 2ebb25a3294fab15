"""Whatever happens to wallets, in whatever order: every invariant of the books holds after it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexgent.errors import Refusal
from nexgent.ids import uuid7
from nexgent.money import SOL_MINT
from prices.models import Token
from tests.ledger import MINT, OTHER_MINT, Trader
from trading import books
from trading.models import Order, Position, Side, State
from wallets import selectors, services

pytestmark = pytest.mark.django_db

amounts = st.integers(1, 10**12)
mints = st.sampled_from([MINT, OTHER_MINT])
small = st.integers(0, 10_000)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("deposit"), amounts),
        st.tuples(st.just("withdraw"), amounts),
        st.tuples(st.just("buy"), mints, amounts, st.integers(1, 10**15), small, small),
        st.tuples(st.just("sell"), mints, st.integers(1, 100), st.integers(20_000, 10**12), small, small),
        st.tuples(st.just("write_off"), mints),
        st.tuples(st.just("hold"), amounts),
        st.tuples(st.just("release"), st.integers(0, 3)),
        st.tuples(st.just("adjust"), st.sampled_from([SOL_MINT, MINT]), st.integers(-(10**10), 10**10)),
    ),
    max_size=14,
)


class Model:
    """Applies a step to the ledger and to plain numbers beside it; what cannot be is refused by both."""

    def __init__(self) -> None:
        self.trader = Trader()
        self.sol = 0
        self.held: list[tuple[Order, int]] = []

    @property
    def free(self) -> int:
        return self.sol - sum(amount for _, amount in self.held)

    def deposit(self, lamports: int) -> None:
        self.trader.deposit(lamports)
        self.sol += lamports

    def withdraw(self, lamports: int) -> None:
        if lamports <= self.free:
            self.trader.withdraw(lamports)
            self.sol -= lamports
            return
        with pytest.raises(Refusal, match="free balance"):
            self.trader.withdraw(lamports)

    def buy(self, mint: str, lamports: int, units: int, fee: int, rent: int) -> None:
        if lamports + fee + rent <= self.free:
            self.trader.buy(lamports, units, fee=fee, rent=rent, mint=mint)
            self.sol -= lamports + fee + rent

    def sell(self, mint: str, percent: int, lamports: int, fee: int, protocol: int) -> None:
        position = self._open(mint)
        if position and (units := position.remaining_units * percent // 100):
            closed = self.trader.sell(units, lamports, fee=fee, protocol=protocol, mint=mint)
            self.sol += lamports - fee - protocol + (closed.rent_lamports if closed.closed_at else 0)

    def write_off(self, mint: str) -> None:
        if position := self._open(mint):
            self.trader.write_off(mint=mint)
            self.sol += position.rent_lamports

    def hold(self, lamports: int) -> None:
        if lamports <= self.free:
            mint = uuid7().hex
            Token.objects.create(mint=mint, decimals=6)
            order = self.trader.order(side=Side.BUY, amount=lamports, mint=mint)
            self.trader.hold(order, lamports)
            self.held.append((order, lamports))

    def release(self, index: int) -> None:
        if index < len(self.held):
            order, _ = self.held.pop(index)
            order.state = State.CANCELLED
            order.save()
            services.release([order.id])

    def adjust(self, asset: str, amount: int) -> None:
        if amount and (amount > 0 or (asset == SOL_MINT and -amount <= self.free)):
            services.adjust(
                wallet_id=self.trader.wallet.id, asset=asset, amount=amount, reason="counted", author="test"
            )
            self.sol += amount if asset == SOL_MINT else 0

    def _open(self, mint: str) -> Position | None:
        return Position.objects.filter(wallet=self.trader.wallet, token_id=mint, closed_at=None).first()


@settings(max_examples=15, deadline=None)
@given(steps)
def test_any_sequence_keeps_every_invariant(sequence):
    model = Model()

    for name, *arguments in sequence:
        getattr(model, name)(*arguments)

    balance = selectors.sol_balances([model.trader.wallet.id])[model.trader.wallet.id]
    assert (balance.units, balance.free) == (model.sol, model.free)
    assert books.check().problems == ()
