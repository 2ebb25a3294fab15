"""A trader for ledger tests: books buys and sales with exact, chosen amounts, the way the engine does.

Real services, real rules, real rows; only the venue is missing, so that a test names every lamport itself.
"""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from agents.models import Agent, ConfigVersion
from nexgent.accounts.models import User, Workspace
from nexgent.ids import key_uuid, uuid7
from nexgent.money import SOL_MINT, price_of
from prices.models import Token
from trading.models import Fill, Order, Position, Purpose, Side, State
from trading.rules import apply as rules
from trading.rules.position import Bought, PositionState, Sold
from wallets import services
from wallets.models import AccountKind, EntryKind, Wallet

MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
OTHER_MINT = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)

_STATE = tuple(f.name for f in fields(PositionState) if f.name not in ("peak", "stop_percent", "low"))


def new_wallet(*, kind: str = "simulation", address: str | None = None) -> Wallet:
    workspace = Workspace.objects.create(name="Ledger")
    return services.wallet_create(workspace_id=workspace.id, kind=kind, address=address)


class Trader:
    """One agent with one simulation wallet. Every call is one minute after the last."""

    def __init__(self) -> None:
        self.wallet = new_wallet()
        self.user = User.objects.create_user(f"{uuid7()}@example.com", "a long pass phrase")
        self.agent = Agent.objects.create(
            workspace_id=self.wallet.workspace_id, user=self.user, name="Ledger", created_at=START, updated_at=START
        )
        self.config = ConfigVersion.objects.create(agent=self.agent, number=1, data={}, created_at=START)
        self.now = START
        for mint in (MINT, OTHER_MINT):
            Token.objects.get_or_create(mint=mint, defaults={"decimals": 6, "symbol": "T"})

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    def deposit(self, lamports: int) -> None:
        services.deposit(wallet_id=self.wallet.id, lamports=lamports, author="test", at=self.tick())

    def withdraw(self, lamports: int) -> None:
        services.withdraw(wallet_id=self.wallet.id, lamports=lamports, author="test", at=self.tick())

    def order(self, *, side: Side, amount: int, mint: str = MINT, position: Position | None = None) -> Order:
        """An order that is planned, without a hold."""
        identity = uuid7()
        return Order.objects.create(
            id=identity,
            key=key_uuid(str(identity)),
            key_text=str(identity),
            workspace_id=self.wallet.workspace_id,
            agent=self.agent,
            wallet=self.wallet,
            token_id=mint,
            position=position,
            config=self.config,
            side=side,
            purpose=(Purpose.DCA if position else Purpose.ENTRY) if side == Side.BUY else Purpose.MANUAL,
            amount=amount,
            profile="ideal",
            created_at=self.now,
        )

    def hold(self, order: Order, lamports: int) -> None:
        with transaction.atomic():
            services.lock([self.wallet.id])
            services.hold([services.NewHold(order.id, self.wallet.id, SOL_MINT, lamports, self.now)])

    def buy(self, lamports: int, units: int, *, fee: int = 0, rent: int = 0, mint: str = MINT) -> Position:
        """Open a position in `mint`, or add to the open one."""
        at = self.tick()
        open_one = Position.objects.filter(wallet=self.wallet, token_id=mint, closed_at=None).first()
        with transaction.atomic():
            services.lock([self.wallet.id])
            order = self.order(side=Side.BUY, amount=lamports, mint=mint, position=open_one)
            bought = {"fee_lamports": fee, "rent_lamports": rent, "at": at}
            policy = {"default_stop_percent": Decimal(-32), "ladder_length": 4}
            if open_one:
                event = Bought(lamports=lamports, units=units, **bought, **policy)
                state = rules.apply(self._state(open_one), event)
            else:
                state = rules.open_position(fill_lamports=lamports, units=units, decimals=6, **bought, **policy)
            lines = (
                services.Line(SOL_MINT, AccountKind.OWN, -(lamports + fee + rent)),
                services.Line(SOL_MINT, AccountKind.MARKET, lamports),
                services.Line(SOL_MINT, AccountKind.FEES, fee),
                services.Line(SOL_MINT, AccountKind.RENT, rent),
                services.Line(mint, AccountKind.OWN, units),
                services.Line(mint, AccountKind.MARKET, -units),
            )
            self._fill(order, amount_in=lamports, amount_out=units, network_fee_lamports=fee, rent_lamports=rent)
            self._post(order.id, EntryKind.SWAP, lines)
            return self._save(open_one, state, order)

    def sell(
        self, units: int, lamports: int, *, fee: int = 0, protocol: int = 0, mint: str = MINT, reason: str = "manual"
    ) -> Position:
        """Sell from the open position for `lamports` before fees; the last unit brings the rent back."""
        at = self.tick()
        position = Position.objects.get(wallet=self.wallet, token_id=mint, closed_at=None)
        with transaction.atomic():
            services.lock([self.wallet.id])
            order = self.order(side=Side.SELL, amount=units, mint=mint, position=position)
            before = self._state(position)
            state = rules.apply(before, Sold(units=units, lamports=lamports - fee - protocol, at=at))
            rent_back = before.rent_lamports if state.is_closed else 0
            lines = (
                services.Line(mint, AccountKind.OWN, -units),
                services.Line(mint, AccountKind.MARKET, units),
                services.Line(SOL_MINT, AccountKind.OWN, lamports - fee - protocol + rent_back),
                services.Line(SOL_MINT, AccountKind.MARKET, -lamports),
                services.Line(SOL_MINT, AccountKind.FEES, fee + protocol),
                services.Line(SOL_MINT, AccountKind.RENT, -rent_back),
            )
            self._fill(
                order,
                amount_in=units,
                amount_out=lamports,
                network_fee_lamports=fee,
                protocol_fee_lamports=protocol,
                cost_lamports=before.cost_lamports - state.cost_lamports,
                realised_lamports=state.realised_lamports - before.realised_lamports,
            )
            self._post(order.id, EntryKind.SWAP, lines)
            if state.is_closed:
                position.closed_at, position.close_reason = at, reason
            return self._save(position, state, order)

    def write_off(self, *, mint: str = MINT) -> Position:
        """Burn what is left of the open position: a loss of its whole cost."""
        at = self.tick()
        position = Position.objects.get(wallet=self.wallet, token_id=mint, closed_at=None)
        units, rent = position.remaining_units, position.rent_lamports
        with transaction.atomic():
            services.lock([self.wallet.id])
            lines = (
                services.Line(mint, AccountKind.OWN, -units),
                services.Line(mint, AccountKind.BURNED, units),
                services.Line(SOL_MINT, AccountKind.OWN, rent),
                services.Line(SOL_MINT, AccountKind.RENT, -rent),
            )
            self._post(None, EntryKind.BURN, lines)
            position.realised_lamports -= position.cost_lamports
            position.remaining_units = position.cost_lamports = 0
            position.closed_at, position.close_reason = at, "write_off"
            position.save()
            return position

    def _state(self, position: Position) -> PositionState:
        nothing = {"peak": position.average, "stop_percent": Decimal(-32), "low": position.average}
        return PositionState(**nothing, **{name: getattr(position, name) for name in _STATE})

    def _save(self, position: Position | None, state: PositionState, order: Order) -> Position:
        position = position or Position(
            workspace_id=self.wallet.workspace_id,
            agent=self.agent,
            wallet=self.wallet,
            token_id=order.token_id,
            config=self.config,
            symbol="T",
            profile="ideal",
            opened_by_id=order.id,
        )
        for name in _STATE:
            setattr(position, name, getattr(state, name))
        position.updated_at = self.now
        position.save()
        return position

    def _fill(self, order: Order, **amounts: int) -> None:
        sol, units = amounts["amount_in"], amounts["amount_out"]
        if order.side == Side.SELL:
            sol, units = units, sol
        order.state, order.final_at = State.FILLED, self.now
        order.save()
        services.release([order.id])
        Fill.objects.create(order=order, price=price_of(sol, units, 6), at=self.now, **amounts)

    def _post(self, order_id: UUID | None, kind: EntryKind, lines: tuple[services.Line, ...]) -> None:
        services.post([services.Draft(self.wallet.id, kind, self.now, lines, order_id=order_id)])
