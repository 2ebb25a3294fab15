"""DCA under its limits: what the rule wants is cut to what cap, reserve and exposure allow, and the funds are held."""

from datetime import datetime

from nexgent import clock
from nexgent.errors import Refusal
from nexgent.money import SOL_MINT
from trading import selectors
from trading.engine import booking, orders, pauses, positions, succession
from trading.engine.market import MarketFacts
from trading.engine.points import reach
from trading.models import Order, Position, State
from trading.rules import retry, sizing
from trading.rules.decision import Buy
from trading.rules.position import PositionState
from trading.venues.protocol import Request
from trading.venues.registry import venue_of
from wallets import selectors as wallet_selectors
from wallets import services as wallets


def postpone(position: Position, *, at: datetime) -> None:
    """After a refusal by limits: no DCA on this position for a minute; the caller holds its lock."""
    position.dca_not_before = at + retry.DCA_POSTPONED
    position.save(update_fields=["dca_not_before"])


def size_dca(order: Order, position: Position, state: PositionState, market: MarketFacts) -> bool:
    """Decide again, cut the amount and hold the funds; False when the order ended here.

    The caller holds agent, wallet, position and order. Raises Refusal with the limit that leaves nothing.
    """
    command = succession.decide_on(position, state, order).command
    if not isinstance(command, Buy):
        orders.end(order, State.CANCELLED, code="NO_LONGER_TRUE", at=clock.now())
        booking.touch(position.id)
        return False
    now = clock.now()
    policy = positions.policy_of(position)
    pause = pauses.paused([position.agent_id], position.token_id, now=now).get(position.agent_id) or pauses.check(
        position.agent_id, position.token_id, policy.protections, now=now
    )
    if pause is not None:
        raise Refusal("PROTECTION_ACTIVE", f"Entries are paused: {pause}.", details={"reason": pause})
    tick = orders.tick_of(order)
    request = Request(
        order_id=order.id,
        is_buy=True,
        mint=position.token_id,
        decimals=position.decimals,
        amount=command.lamports,
        price=tick.price,
        price_at=tick.at,
        seed=order.seed,
        depth_lamports=market.depth_lamports,
    )
    fees = venue_of(order.profile).fees(request)
    wallets.release([order.id])  # held by a process that died before it submitted
    exposure = selectors.exposures([position.agent_id], position.token_id, without=order.id)[position.agent_id]
    order.amount = sizing.dca_size(
        command.lamports,
        policy.limits,
        free_lamports=wallet_selectors.sol_balances([position.wallet_id])[position.wallet_id].free,
        fees_lamports=fees,
        exposure_lamports=exposure.total_lamports,
        token_exposure_lamports=exposure.token_lamports,
    )
    order.plan = order.plan | {"wantedLamports": command.lamports}
    order.save(update_fields=["amount", "plan"])
    wallets.hold([wallets.NewHold(order.id, position.wallet_id, SOL_MINT, order.amount + fees, now)])
    reach("dca_held")
    return True
