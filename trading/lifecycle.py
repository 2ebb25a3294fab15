"""The ends of agents and of their periods: archive, assign another wallet, unassign, reset.

All are refused while live positions are open; simulated ones are sold at the last known price by the normal way
of an order. What dies on the way goes on: the sweep of `trading.maintenance` sells whatever was left behind.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from agents import live as agents_live
from agents.models import Agent, Assignment
from agents.services import AGENTS_CHANNEL
from nexgent import clock
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.events import bell
from nexgent.events import services as events
from trading import maintenance
from trading.engine import locks
from trading.models import OPEN_STATES, Order, PortfolioSnapshot, Position
from wallets import selectors as wallet_balances
from wallets import services as wallets
from wallets.models import AccountKind, Entry, EntryKind, Kind, Wallet

RESET_SECONDS = 20.0
"""So long a reset waits for the sales that empty the wallet."""
POLL_SECONDS = 0.1
RESET = "reset"


@dataclass(frozen=True, slots=True)
class Reset:
    """What the ended epoch of a wallet had: positions sold by the reset, closed ones, balances, ledger entries."""

    epoch: int
    positions: int
    closed_positions: int
    balances: int
    entries: int


@dataclass(frozen=True, slots=True)
class Assigned:
    """The period that is now open, and whether it took the place of another."""

    assignment: Assignment
    is_replaced: bool


def agent_archive(*, agent_id: UUID) -> Agent:
    """Take an agent away for good: no entries from now on, its wallets are free, simulated positions are sold.

    Raises NotFound, Refusal OPEN_POSITIONS while it has live positions or orders.
    """
    agent = _archived(agent_id)
    maintenance.close_left_behind(agent_id=agent_id)
    return agent


def unassign(*, agent_id: UUID, wallet_id: UUID) -> Assignment:
    """End the period in which an agent trades from a wallet; simulated positions are sold.

    Raises NotFound, Refusal OPEN_POSITIONS while a live wallet has positions or orders.
    """
    assignment = _unassigned(agent_id, wallet_id)
    maintenance.close_left_behind(agent_id=agent_id)
    return assignment


def wallet_assign(*, agent_id: UUID, mode: str, address: str) -> Assigned:
    """Let an agent trade from the wallet of this address in this mode, in place of the one it had there.

    The wallet before keeps its history: only the period ends, and simulated positions in it are sold. A simulated
    address that nobody has makes a wallet. Raises NotFound for agents and wallets that are not the workspace's,
    InvalidInput when address and mode do not go together, Refusal WALLET_IN_USE, and OPEN_POSITIONS while the live
    wallet before has positions or orders.
    """
    try:
        assigned = _assigned(agent_id, mode, address)
    except IntegrityError as problem:
        raise _in_use() from problem
    if assigned.is_replaced:
        maintenance.close_left_behind(agent_id=agent_id)
    return assigned


def wallet_reset(*, agent_id: UUID, wallet_id: UUID, author: str, wait_seconds: float = RESET_SECONDS) -> Reset:
    """Sell what a simulation wallet holds, empty it by contra entries, and begin its next epoch. Waits for the sales.

    Raises NotFound, Refusal OPEN_POSITIONS or LIVE_WALLET for a live wallet, RESET_IN_PROGRESS when the sales take
    longer than `wait_seconds`: they go on, the call may be repeated.
    """
    end = time.monotonic() + wait_seconds
    begun = Position.objects.filter(wallet_id=wallet_id, closed_at=None).count()
    while True:
        done = _emptied(agent_id, wallet_id, author, begun)
        if done is not None:
            return done
        if time.monotonic() >= end:
            raise Refusal("RESET_IN_PROGRESS", "Positions of this wallet are still being sold. Try again in a moment.")
        open_ids = Position.objects.filter(wallet_id=wallet_id, closed_at=None).order_by("id")
        maintenance.close(list(open_ids.values_list("id", flat=True)), reason=RESET)
        connection.close()
        time.sleep(POLL_SECONDS)


@locks.unit_of_work
@transaction.atomic
def _archived(agent_id: UUID) -> Agent:
    agent = _locked(agent_id)
    _refuse_live(Assignment.objects.filter(agent=agent, ended_at=None).values_list("wallet_id", flat=True))
    now = clock.now()
    Assignment.objects.filter(agent=agent, ended_at=None).update(ended_at=now)
    agent.archived_at = agent.updated_at = now
    agent.policy_version += 1
    agent.save(update_fields=["archived_at", "updated_at", "policy_version"])
    bell.publish(AGENTS_CHANNEL, agent.id.bytes)
    events.append([events.NewEvent(agent.workspace_id, "agent_archived", agents_live.agent_wire(agent), now)])
    return agent


@locks.unit_of_work
@transaction.atomic
def _assigned(agent_id: UUID, mode: str, address: str) -> Assigned:
    agent = _locked(agent_id)
    wallet = _wallet_for(agent, mode, address)
    before = Assignment.objects.filter(agent=agent, mode=mode, ended_at=None).first()
    if before is not None and before.wallet_id == wallet.id:
        return Assigned(before, is_replaced=False)
    wallets.lock([wallet.id, *([before.wallet_id] if before else [])])
    if Assignment.objects.filter(wallet=wallet, ended_at=None).exists():
        raise _in_use()
    now = clock.now()
    if before is not None:
        _refuse_live([before.wallet_id])
        Assignment.objects.filter(id=before.id).update(ended_at=now)
    assignment = Assignment.objects.create(agent=agent, wallet=wallet, mode=mode, started_at=now)
    agent.policy_version += 1
    agent.updated_at = now
    agent.save(update_fields=["policy_version", "updated_at"])
    bell.publish(AGENTS_CHANNEL, agent.id.bytes)
    payload = {"agentId": str(agent.id), "walletAddress": wallet.address, "tradingMode": mode}
    events.append([events.NewEvent(agent.workspace_id, "wallet_assigned", payload, now)])
    return Assigned(assignment, is_replaced=before is not None)


def _wallet_for(agent: Agent, mode: str, address: str) -> Wallet:
    """The workspace's wallet of this address and kind; a simulated one is made when nobody has it."""
    is_simulated = address.startswith(wallets.SIMULATED_PREFIX)
    if is_simulated != (mode == Kind.SIMULATION):
        word = "must" if mode == Kind.SIMULATION else "must not"
        raise InvalidInput({"walletAddress": f"{word} begin with {wallets.SIMULATED_PREFIX} for this walletType"})
    found = Wallet.objects.filter(address=address).first()
    if found is None and is_simulated:
        return wallets.wallet_create(workspace_id=agent.workspace_id, address=address)
    if found is None or found.workspace_id != agent.workspace_id or found.kind != mode:
        raise NotFound("wallet")
    return found


def _in_use() -> Refusal:
    return Refusal("WALLET_IN_USE", "Another agent trades from this wallet.")


@locks.unit_of_work
@transaction.atomic
def _unassigned(agent_id: UUID, wallet_id: UUID) -> Assignment:
    agent = _locked(agent_id)
    assignment = _assignment(agent, wallet_id)
    _refuse_live([wallet_id])
    now = clock.now()
    assignment.ended_at = now
    assignment.save(update_fields=["ended_at"])
    agent.policy_version += 1
    agent.updated_at = now
    agent.save(update_fields=["policy_version", "updated_at"])
    bell.publish(AGENTS_CHANNEL, agent.id.bytes)
    payload = {"agentId": str(agent.id), "walletAddress": assignment.wallet.address, "tradingMode": assignment.mode}
    events.append([events.NewEvent(agent.workspace_id, "wallet_unassigned", payload, now)])
    return assignment


@locks.unit_of_work
@transaction.atomic
def _emptied(agent_id: UUID, wallet_id: UUID, author: str, begun: int) -> Reset | None:
    """Empty the wallet and begin its next epoch; None while it has open positions or orders."""
    agent = _locked(agent_id)
    _assignment(agent, wallet_id)
    _refuse_live([wallet_id])
    wallet = Wallet.objects.get(id=wallet_id)
    if wallet.kind != Kind.SIMULATION:
        raise Refusal("LIVE_WALLET", "Only a simulated wallet can be reset.")
    if Position.objects.filter(wallet_id=wallet_id, closed_at=None).exists():
        return None
    if Order.objects.filter(wallet_id=wallet_id, state__in=OPEN_STATES).exists():
        return None
    now = clock.now()
    held = wallet_balances.balances(wallet_id)
    ended = Reset(
        epoch=wallet.epoch,
        positions=begun,
        closed_positions=_positions_of(wallet).count(),
        balances=len(held),
        entries=Entry.objects.filter(wallet=wallet, epoch=wallet.epoch).count(),
    )
    wallets.post([_contra(wallet, asset, balance.units, author) for asset, balance in sorted(held.items())])
    PortfolioSnapshot.objects.filter(wallet=wallet).delete()
    wallet.epoch += 1
    wallet.save(update_fields=["epoch", "updated_at"])
    payload = {"agentId": str(agent.id), "walletAddress": wallet.address, "epoch": wallet.epoch}
    events.append([events.NewEvent(agent.id, "wallet_reset", payload, now)])
    return ended


def _contra(wallet: Wallet, asset: str, units: int, author: str) -> wallets.Draft:
    """The entry that takes a balance to zero, in the epoch that ends."""
    return wallets.Draft(
        wallet_id=wallet.id,
        kind=EntryKind.ADJUSTMENT,
        at=clock.now(),
        lines=(
            wallets.Line(asset, AccountKind.OWN, -units),
            wallets.Line(asset, AccountKind.ADJUSTMENT, units),
        ),
        epoch=wallet.epoch,
        reason=RESET,
        author=author[:80],
    )


def _positions_of(wallet: Wallet) -> QuerySet[Position]:
    """The closed positions of the wallet's current epoch."""
    bought = Entry.objects.filter(wallet=wallet, epoch=wallet.epoch, order_id__isnull=False).values("order_id")
    return Position.objects.filter(wallet=wallet, closed_at__isnull=False, opened_by_id__in=bought)


def _locked(agent_id: UUID) -> Agent:
    locks.agents([agent_id])
    agent = Agent.objects.filter(id=agent_id, archived_at=None).first()
    if agent is None:
        raise NotFound("agent")
    return agent


def _assignment(agent: Agent, wallet_id: UUID) -> Assignment:
    found = Assignment.objects.select_related("wallet").filter(agent=agent, wallet_id=wallet_id, ended_at=None).first()
    if found is None:
        raise NotFound("wallet")
    return found


def _refuse_live(wallet_ids: Iterable[UUID]) -> None:
    """Lock the wallets, then refuse when a live one has positions or orders: nobody wishes those away."""
    wallet_ids = list(wallet_ids)
    wallets.lock(wallet_ids)
    live = Wallet.objects.filter(id__in=wallet_ids, kind=Kind.LIVE).values("id")
    is_open = Position.objects.filter(wallet_id__in=live, closed_at=None).exists()
    if is_open or Order.objects.filter(wallet_id__in=live, state__in=OPEN_STATES).exists():
        raise Refusal("OPEN_POSITIONS", "Close the live positions first.")
