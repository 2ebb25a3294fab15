"""What a buy or a sale would do now: the engine's own checks and quotes, without locks and without a trace.

Entries are checked one by one and every refusal is told, where the engine stops at the first. What an order draws from
its seed (network fee, delay) is drawn here from a fixed one: the figures are an example of what such orders cost.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from agents import selectors as agents
from agents.models import Agent
from nexgent import clock
from nexgent.errors import Refusal
from prices.records import ENTRY_MAX_AGE, PriceTick
from trading import selectors
from trading.engine import market as markets
from trading.engine import pauses, positions, sales
from trading.engine.market import MarketFacts
from trading.engine.quoting import quote_buy
from trading.models import OPEN_STATES, Order, Position, Side, State
from trading.rules import impact, token_gate, validation
from trading.rules.market import Outcome, Quote
from trading.rules.policy import Policy
from trading.venues.protocol import Request, Venue
from trading.venues.registry import venue_of
from wallets import selectors as wallets
from wallets.models import Wallet

MIDDLE = Decimal("0.5")
"""The draw of a randomised size: the middle of its range."""
SEEDS_MAX = 100
_Result = TypeVar("_Result")


@dataclass(slots=True)
class Preview:
    """`wanted` and `quote` are None when the checks before them left nothing to ask for."""

    tick: PriceTick | None
    limit: Decimal | None
    profile: str
    wallet: Wallet | None = None
    position: Position | None = None
    decimals: int = 0
    wanted: int | None = None
    """Lamports of a buy, units of a sale."""
    quote: Quote | None = None
    is_randomised: bool = False
    sol_usd: Decimal | None = None
    refusals: list[Refusal] = field(default_factory=list)

    def check(self, step: Callable[[], _Result]) -> _Result | None:
        """The step's result; its refusal is kept instead of raised."""
        try:
            return step()
        except Refusal as refusal:
            self.refusals.append(refusal)
            return None


def of_buy(agent: Agent, mint: str, *, lamports: int | None = None, wallet: Wallet | None = None) -> Preview:
    """What buying would do for this agent; without `lamports` the rules choose. Outside transactions only.

    Raises NotFound for a token without a row.
    """
    market = markets.ask(mint, now=clock.now())
    assignment = agents.assignment(agent.id, agent.mode)
    own = assignment.wallet if assignment is not None else None
    assert agent.config_id is not None
    policy = agents.policy(agent.config_id)
    preview = Preview(
        market.latest,
        policy.limits.max_price_impact,
        agent.profile,
        wallet=wallet or own,
        decimals=market.decimals,
        is_randomised=lamports is None and policy.sizing.randomise,
        sol_usd=market.sol_usd,
    )
    preview.check(lambda: _refuse_pause(agent.id, mint, policy))
    size = preview.check(lambda: _size(agent, mint, policy, own=own, wallet=wallet, lamports=lamports))
    preview.check(lambda: _refuse_token(policy))
    preview.check(lambda: _refuse_price(market))
    preview.wanted = lamports if size is None else size
    if preview.wanted and market.latest is not None:
        _quote_buy(preview, agent, mint, market, own)
    return preview


def _quote_buy(preview: Preview, agent: Agent, mint: str, market: MarketFacts, own: Wallet | None) -> None:
    tick, venue = market.latest, venue_of(agent.profile)
    assert tick is not None
    assert preview.wanted is not None
    request = Request(
        order_id=agent.id,
        is_buy=True,
        mint=mint,
        decimals=market.decimals,
        amount=preview.wanted,
        price=tick.price_sol,
        price_at=tick.observed_at,
        seed=0,
        depth_lamports=market.depth_lamports,
        opens_account=True,
        is_manual=True,  # its age is checked above, once
    )
    limit = preview.limit
    preview.quote = preview.check(lambda: _landing(venue, request, lambda wanted: quote_buy(venue, wanted, limit)))
    if preview.quote is None or own is None:
        return
    needed = preview.quote.amount_in + preview.quote.network_fee_lamports + preview.quote.rent_lamports
    if needed + preview.quote.protocol_fee_lamports > _free(own) and not preview.refusals:
        preview.refusals.append(Refusal("INSUFFICIENT_BALANCE", "The free balance does not cover amount and fees."))


def of_sale(position: Position, wanted: sales.Wanted) -> Preview:
    """What selling this open position, or a part of it, would do; a person's sale needs no fresh price."""
    tick = sales.last_tick(position.token_id, position)
    policy, venue = positions.policy_of(position), venue_of(position.profile)
    known = markets.read([position.token_id], now=clock.now())[position.token_id]
    preview = Preview(
        known.latest,
        policy.limits.max_price_impact,
        position.profile,
        wallet=position.wallet,
        position=position,
        decimals=position.decimals,
        sol_usd=known.sol_usd,
    )
    preview.check(lambda: _refuse_sale_under_way(position))
    state = positions.state_of(position)
    preview.wanted = preview.check(lambda: sales.units_of(state, wanted, tick))
    if not preview.wanted:
        return preview
    units, limit = preview.wanted, preview.limit
    request = Request(
        order_id=position.id,
        is_buy=False,
        mint=position.token_id,
        decimals=position.decimals,
        amount=units,
        price=tick.price,
        price_at=tick.at,
        seed=0,
        depth_lamports=known.depth_lamports,
        is_manual=True,
    )

    def quoted(wanted: Request) -> Quote:
        part = impact.exit_part(
            units, units, limit, lambda part: venue.quote(replace(wanted, amount=part)).price_impact
        )
        return venue.quote(replace(wanted, amount=part))

    preview.quote = preview.check(lambda: _landing(venue, request, quoted))
    return preview


def _landing(venue: Venue, request: Request, quote: Callable[[Request], Quote]) -> Quote:
    """The quote of an order that lands: the first seed that neither fails nor expires."""
    found = quote(request)
    for seed in range(1, SEEDS_MAX):
        if found.outcome is Outcome.OK:
            break
        found = quote(replace(request, seed=seed))
    return found


def _size(
    agent: Agent, mint: str, policy: Policy, *, own: Wallet | None, wallet: Wallet | None, lamports: int | None
) -> int:
    exposure = selectors.exposures([agent.id], mint)[agent.id]
    facts = validation.EntryFacts(
        balance_lamports=0 if own is None else _free(own),
        has_wallet=own is not None,
        is_wallet_of_agent=wallet is None or (own is not None and wallet.id == own.id),
        is_wallet_of_mode=own is None or own.kind == agent.mode,
        has_position=exposure.has_token,
        open_positions=exposure.positions,
        exposure_lamports=exposure.total_lamports,
        token_exposure_lamports=exposure.token_lamports,
        requested_lamports=lamports,
    )
    return validation.validate_entry(facts, policy, MIDDLE)


def _free(wallet: Wallet) -> int:
    return wallets.sol_balances([wallet.id])[wallet.id].free


def _refuse_pause(agent_id: UUID, mint: str, policy: Policy) -> None:
    reason = pauses.foreseen(agent_id, mint, policy.protections, now=clock.now())
    if reason is not None:
        raise Refusal("PROTECTION_ACTIVE", f"Entries are paused: {reason}.", details={"reason": reason})


def _refuse_token(policy: Policy) -> None:
    # A person's order brings no facts of its own, as in `services.manual_buy`.
    reasons = token_gate.evaluate(policy.token_gate, token_gate.TokenFacts(), clock.now())
    if reasons:
        raise Refusal("TOKEN_REFUSED", "The token gate refuses this token.", details={"reasons": list(reasons)})


def _refuse_price(market: MarketFacts) -> None:
    if market.latest is None:
        raise Refusal("PRICE_UNKNOWN", "There is no price for this token.")
    if clock.now() - market.latest.observed_at > ENTRY_MAX_AGE:
        raise Refusal("PRICE_STALE", "The price is too old for an entry.")
    if market.is_disputed:
        raise Refusal("SOL_USD_DISPUTED", "The sources of SOL/USD differ; entries wait.")


def _refuse_sale_under_way(position: Position) -> None:
    sale = Order.objects.filter(position_id=position.id, side=Side.SELL, state__in=OPEN_STATES).first()
    if sale is None:
        return
    gives_way = sale.state == State.PLANNED and sale.lease_owner is None and sale.not_before is not None
    if not gives_way:
        raise Refusal("SALE_IN_PROGRESS", "A sale of this position is under way.", details={"orderId": str(sale.id)})
