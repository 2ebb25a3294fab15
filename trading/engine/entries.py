"""Entries: one signal (or a person's order) fanned out over a set of agents.

Agents go in chunks of 25 in id order, each one transaction: locks, facts in later statements, rules, then every table
by one statement. Where nothing leaves the process and nothing takes time, intent and fill are that one transaction;
else hold and planned order commit first, and the executor goes on. One agent is a set of one; there is no second
path.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from agents import selectors as agents
from nexgent import clock
from nexgent.errors import Refusal
from nexgent.events import bell
from nexgent.events import services as events
from nexgent.ids import key_uuid, uuid7
from nexgent.money import SOL_MINT
from nexgent.rows import insert
from prices.records import ENTRY_MAX_AGE
from trading import selectors
from trading.engine import booking, locks, orders, pauses
from trading.engine.market import MarketFacts
from trading.engine.points import reach
from trading.engine.quoting import quote_buy
from trading.models import Order, Purpose, Side, State
from trading.rules import sizing, token_gate, validation
from trading.rules.market import Outcome, Quote
from trading.rules.policy import Policy
from trading.venues.protocol import Request, quote_json
from trading.venues.registry import venue_of
from wallets import services as wallets

CHUNK = 25


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why agents should buy: a signal or a person. `requested_lamports` is set by a person only."""

    mint: str
    signal_id: int | None = None
    signal_type: str = ""
    received_at: datetime | None = None
    verdict_at: datetime | None = None
    requested_lamports: int | None = None
    wallet_id: UUID | None = None
    key_text: str = ""
    token_facts: token_gate.TokenFacts = field(default_factory=token_gate.TokenFacts)


@dataclass(frozen=True, slots=True)
class EntryOutcome:
    """What became of one agent: an order, or the refusal that kept it from one."""

    agent_id: UUID
    order_id: UUID | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Journal:
    """The caller's record of the same decision, read and written inside the chunk's transaction.

    `unanswered` narrows the agents, under their locks, to those without an answer yet; `write` stores the outcomes.
    """

    unanswered: Callable[[Sequence[UUID]], Sequence[UUID]] = lambda agent_ids: agent_ids
    write: Callable[[Sequence[EntryOutcome]], None] = lambda outcomes: None


def enter(
    trigger: Trigger,
    agent_ids: Sequence[UUID],
    market: MarketFacts,
    *,
    journal: Journal | None = None,
    seed_of: Callable[[UUID], int] | None = None,
) -> list[EntryOutcome]:
    """Plan, and where nothing takes time fill, an entry for each agent; one transaction for every 25 of them.

    `seed_of` names the seed of an agent's order (random unless given). Refusals are outcomes, not exceptions.
    """
    ordered = sorted(set(agent_ids))
    outcomes: list[EntryOutcome] = []
    for start in range(0, len(ordered), CHUNK):
        chunk = ordered[start : start + CHUNK]
        outcomes += _enter_chunk(trigger, chunk, market, journal or Journal(), seed_of or _seed)
        reach("entry_committed")
    return outcomes


def _seed(agent_id: UUID) -> int:
    """A random seed; in a replay the one that its run prescribes for the agent's next position."""
    if not settings.ENGINE_SEED:
        return secrets.randbits(62)
    ordinal = Order.objects.filter(agent_id=agent_id, purpose=Purpose.ENTRY).count() + 1
    return sizing.seed_of(settings.ENGINE_SEED, ordinal, Purpose.ENTRY.label, 0)


@dataclass(frozen=True, slots=True)
class _Candidate:
    agent_id: UUID
    workspace_id: UUID
    mode: str
    profile: str
    config_id: UUID
    wallet_id: UUID | None
    wallet_kind: str | None
    epoch: int
    free_lamports: int


@dataclass(frozen=True, slots=True)
class _Planned:
    order: Order
    quote: Quote | None
    """Set when the order is filled in this transaction."""
    held_lamports: int
    policy: Policy
    epoch: int


_CANDIDATES = """
SELECT a.id, a.workspace_id, a.mode, a.profile, a.config_id, w.id, w.kind, coalesce(w.epoch, 1),
       coalesce(c.balance - c.held, 0)
FROM agents_agent a
LEFT JOIN agents_assignment s ON s.agent_id = a.id AND s.mode = a.mode AND s.ended_at IS NULL
LEFT JOIN wallets_wallet w ON w.id = s.wallet_id
LEFT JOIN wallets_account c ON c.wallet_id = w.id AND c.asset = %s AND c.kind = 'own'
WHERE a.id = ANY(%s) AND a.archived_at IS NULL ORDER BY a.id
"""
_LOCK_WALLETS = """
SELECT w.id FROM wallets_wallet w
JOIN agents_assignment s ON s.wallet_id = w.id AND s.ended_at IS NULL
JOIN agents_agent a ON a.id = s.agent_id AND a.mode = s.mode
WHERE a.id = ANY(%s) ORDER BY w.id FOR NO KEY UPDATE OF w
"""


def _candidates(agent_ids: Sequence[UUID]) -> list[_Candidate]:
    """The agents with wallet and free SOL, read after both are locked."""
    with connection.cursor() as cursor:
        cursor.execute(_LOCK_WALLETS, [list(agent_ids)])
        cursor.execute(_CANDIDATES, [SOL_MINT, list(agent_ids)])
        return [_Candidate(*row[:-1], int(row[-1])) for row in cursor.fetchall()]


@locks.unit_of_work
@transaction.atomic
def _enter_chunk(
    trigger: Trigger,
    agent_ids: Sequence[UUID],
    market: MarketFacts,
    journal: Journal,
    seed_of: Callable[[UUID], int],
) -> list[EntryOutcome]:
    locks.agents(agent_ids)
    agent_ids = journal.unanswered(agent_ids)
    candidates = _candidates(agent_ids)
    policies = agents.policies(candidate.config_id for candidate in candidates)
    exposures = selectors.exposures(agent_ids, trigger.mint)
    paused = pauses.paused(agent_ids, trigger.mint, now=clock.now())
    outcomes: list[EntryOutcome] = []
    planned: list[_Planned] = []
    now = clock.now()
    for candidate in candidates:
        policy = policies[candidate.config_id]
        try:
            reason = paused.get(candidate.agent_id) or pauses.check(
                candidate.agent_id, trigger.mint, policy.protections, now=now
            )
            if reason is not None:
                raise Refusal("PROTECTION_ACTIVE", f"Entries are paused: {reason}.", details={"reason": reason})
            exposure = exposures[candidate.agent_id]
            plan = _plan(trigger, candidate, policy, exposure, market, seed_of(candidate.agent_id), now)
        except Refusal as refusal:
            outcomes.append(EntryOutcome(candidate.agent_id, refusal=refusal))
            continue
        planned.append(plan)
        outcomes.append(EntryOutcome(candidate.agent_id, order_id=plan.order.id))
    _write(planned, outcomes, market, journal, now)
    return outcomes


def _plan(
    trigger: Trigger,
    candidate: _Candidate,
    policy: Policy,
    exposure: selectors.Exposure,
    market: MarketFacts,
    seed: int,
    now: datetime,
) -> _Planned:
    """One agent's order, checked and sized; raises the Refusal that keeps it from one."""
    lamports = validation.validate_entry(
        validation.EntryFacts(
            balance_lamports=candidate.free_lamports,
            has_wallet=candidate.wallet_id is not None,
            is_wallet_of_agent=trigger.wallet_id in (None, candidate.wallet_id),
            is_wallet_of_mode=candidate.wallet_kind == candidate.mode,
            has_position=exposure.has_token,
            open_positions=exposure.positions,
            exposure_lamports=exposure.total_lamports,
            token_exposure_lamports=exposure.token_lamports,
            requested_lamports=trigger.requested_lamports,
        ),
        policy,
        sizing.draw(seed),
    )
    if reasons := token_gate.evaluate(policy.token_gate, trigger.token_facts, now):
        raise Refusal("TOKEN_REFUSED", "The token gate refuses this token.", details={"reasons": list(reasons)})
    tick = market.latest
    if tick is None:
        raise Refusal("PRICE_UNKNOWN", "There is no price for this token.")
    if now - tick.observed_at > ENTRY_MAX_AGE:
        raise Refusal("PRICE_STALE", "The price is too old for an entry.")
    if market.is_disputed:
        raise Refusal("SOL_USD_DISPUTED", "The sources of SOL/USD differ; entries wait.")
    order = _order(trigger, candidate, market, seed=seed, lamports=lamports, now=now)
    venue = venue_of(candidate.profile)
    request = Request(
        order_id=order.id,
        is_buy=True,
        mint=trigger.mint,
        decimals=market.decimals,
        amount=lamports,
        price=tick.price_sol,
        price_at=tick.observed_at,
        seed=seed,
        depth_lamports=market.depth_lamports,
        opens_account=True,
    )
    quote = quote_buy(venue, request, policy.limits.max_price_impact) if venue.is_local else None
    if quote is not None and quote.delay_ms == 0 and quote.outcome is Outcome.OK:
        order.position_id = uuid7()
        order.state, order.amount, order.final_at, order.quote = State.FILLED, quote.amount_in, now, quote_json(quote)
        order.stages |= dict.fromkeys(("quoted", "submitted", "filled"), booking.stamp(now))
        return _Planned(order, quote, 0, policy, candidate.epoch)
    return _Planned(order, None, lamports + venue.fees(request), policy, candidate.epoch)


def _order(
    trigger: Trigger, candidate: _Candidate, market: MarketFacts, *, seed: int, lamports: int, now: datetime
) -> Order:
    tick = market.latest
    assert tick is not None
    assert candidate.wallet_id is not None
    key = trigger.key_text or f"entry:{candidate.agent_id}:{trigger.signal_id}"
    stages = {
        "received": booking.stamp(trigger.received_at or now),
        "verdict": booking.stamp(trigger.verdict_at or now),
        "order_committed": booking.stamp(now),
    }
    return Order(
        id=uuid7(),
        key=key_uuid(key),
        key_text=key,
        workspace_id=candidate.workspace_id,
        agent_id=candidate.agent_id,
        wallet_id=candidate.wallet_id,
        token_id=trigger.mint,
        config_id=candidate.config_id,
        signal_id=trigger.signal_id,
        signal_type=trigger.signal_type,
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        amount=lamports,
        plan={"reason": "manual" if trigger.signal_id is None else "signal", "symbol": market.symbol},
        price=tick.price_sol,
        price_at=tick.observed_at,
        price_source=tick.source,
        profile=candidate.profile,
        seed=seed,
        stages=stages,
        created_at=now,
    )


_ORDER_COLUMNS = (
    "id",
    "key",
    "key_text",
    "workspace_id",
    "agent",
    "wallet",
    "token",
    "position",
    "config",
    "signal_id",
    "signal_type",
    "side",
    "purpose",
    "ordinal",
    "state",
    "amount",
    "plan",
    "price",
    "price_at",
    "price_source",
    "profile",
    "seed",
    "quote",
    "stages",
    "created_at",
    "final_at",
)
_ORDER_ATTRIBUTES = tuple(Order._meta.get_field(name).attname for name in _ORDER_COLUMNS)


def _write(
    planned: Sequence[_Planned],
    outcomes: Sequence[EntryOutcome],
    market: MarketFacts,
    journal: Journal,
    now: datetime,
) -> None:
    """Everything the chunk decided, each table by one statement, the lot in one pipeline; the events last."""
    filled = [
        booking.Opening(
            p.order, p.quote, p.policy, market.symbol, market.decimals, p.epoch, market.sol_usd, p.order.position_id
        )
        for p in planned
        if p.quote is not None and p.order.position_id is not None
    ]
    waiting = [p for p in planned if p.quote is None]
    wallets.hold([wallets.NewHold(p.order.id, p.order.wallet_id, SOL_MINT, p.held_lamports, now) for p in waiting])
    with booking.pipeline():
        rows: list[tuple[Any, ...]] = [
            tuple(getattr(p.order, name) for name in _ORDER_ATTRIBUTES)
            for p in sorted(planned, key=lambda plan: plan.order.key)
        ]
        insert(Order, _ORDER_COLUMNS, rows)
        created = booking.open_positions(filled, at=now)
        journal.write(outcomes)
        events.append(created)
    if waiting:
        bell.task(orders.ENTRIES_DRAIN[0], queue=orders.ENTRIES_DRAIN[1])
    if filled:
        booking.publish_filled([opening.order.id for opening in filled])
    if planned:
        reach("entry_before_commit")
