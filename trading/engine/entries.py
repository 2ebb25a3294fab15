"""Entries: signals (or a person's order) fanned out over a set of agents.

At most 25 agents in id order are one transaction, with as many waiting signals as make up about a hundred orders:
locks and facts in one pipeline, rules, then each app's tables by one statement. Where nothing leaves the process and
nothing takes time, intent and fill are that one transaction; else hold and planned order commit first, and the executor
goes on. One agent and one signal are a set of one; there is no second path.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction

from agents import selectors as agents
from nexgent import clock, rows
from nexgent.accounts import spending
from nexgent.errors import Refusal
from nexgent.events import bell
from nexgent.events import services as events
from nexgent.ids import key_uuid, uuid7
from nexgent.money import SOL_MINT
from prices.records import ENTRY_MAX_AGE
from trading.engine import booking, candidates, locks, openings, orders, pauses, way
from trading.engine.candidates import Candidate
from trading.engine.market import MarketFacts
from trading.engine.openings import EntryOrder
from trading.engine.points import reach
from trading.engine.quoting import quote_buy
from trading.models import Order, Purpose
from trading.rules import sizing, token_gate, validation
from trading.rules.market import Outcome, Quote
from trading.rules.policy import Policy
from trading.venues.protocol import Request
from trading.venues.registry import venue_of
from wallets import services as wallets

CHUNK = 25
ORDERS_MAX = 100
"""Of one transaction: an exit of one of its wallets waits no longer than for so many."""


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
    limited_key_id: UUID | None = None
    """The key whose spend limit counts these entries; set only when it has one."""
    token_facts: token_gate.TokenFacts = field(default_factory=token_gate.TokenFacts)

    @property
    def is_of_person(self) -> bool:
        """Whether a person asked: the switch of entries stops signals only."""
        return bool(self.key_text)


@dataclass(frozen=True, slots=True)
class Wish:
    """One trigger, the market it meets and the agents that it concerns."""

    trigger: Trigger
    market: MarketFacts
    agent_ids: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class EntryOutcome:
    """What became of one agent on one trigger: an order, or the refusal that kept it from one."""

    agent_id: UUID
    order_id: UUID | None = None
    refusal: Refusal | None = None
    signal_id: int | None = None

    def __post_init__(self) -> None:
        if self.refusal is not None:
            self.refusal.forget_way()


class Answers:
    """What exists already of the caller's own record, asked in the pipeline and known at its end."""

    def given(self) -> set[tuple[int | None, UUID]]:
        """(signal, agent) pairs that have their answer."""
        return set()


@dataclass(frozen=True, slots=True)
class Journal:
    """The caller's record of the same decision, read and written inside the chunk's transaction.

    `answers` asks, under the agents' locks, for which pairs there is an answer; `write` stores the outcomes. Both are
    called in a pipeline and fetch nothing in it.
    """

    answers: Callable[[Sequence[int | None], Sequence[UUID]], Answers] = lambda signal_ids, agent_ids: Answers()
    write: Callable[[Sequence[EntryOutcome]], None] = lambda outcomes: None


SeedOf = Callable[[UUID], int]


def enter(
    trigger: Trigger,
    agent_ids: Sequence[UUID],
    market: MarketFacts,
    *,
    journal: Journal | None = None,
    seed_of: SeedOf | None = None,
) -> list[EntryOutcome]:
    """Plan, and where nothing takes time fill, an entry for each agent; one transaction for every 25 of them.

    `seed_of` names the seed of an agent's order (random unless given). Refusals are outcomes, not exceptions.
    """
    outcomes: list[EntryOutcome] = []
    for chunk in chunks(agent_ids):
        outcomes += enter_chunk([Wish(trigger, market, frozenset(chunk))], journal=journal, seed_of=seed_of)
    return outcomes


def chunks(agent_ids: Sequence[UUID]) -> list[list[UUID]]:
    """The agents in id order, in parts that one transaction locks."""
    ordered = sorted(set(agent_ids))
    return [ordered[start : start + CHUNK] for start in range(0, len(ordered), CHUNK)]


def enter_chunk(
    wishes: Sequence[Wish], *, journal: Journal | None = None, seed_of: SeedOf | None = None
) -> list[EntryOutcome]:
    """The entries of at most 25 agents on some triggers, in the order of the triggers, in one transaction.

    An agent whose protections look at its own history gets one trigger a transaction, and the rest another one each.
    """
    outcomes: list[EntryOutcome] = []
    waiting = list(wishes)
    while waiting:
        way.give()
        done, waiting = _enter_chunk(waiting, journal or Journal(), seed_of or _seed)
        outcomes += done
        reach("entry_committed")
    return outcomes


def _seed(agent_id: UUID) -> int:
    """A random seed; in a replay the one that its run prescribes for the agent's next position."""
    if not settings.ENGINE_SEED:
        return secrets.randbits(62)
    ordinal = Order.objects.filter(agent_id=agent_id, purpose=Purpose.ENTRY).count() + 1
    return sizing.seed_of(settings.ENGINE_SEED, ordinal, Purpose.ENTRY.label, 0)


@dataclass(frozen=True, slots=True)
class _Planned:
    order: EntryOrder
    policy: Policy
    market: MarketFacts
    epoch: int
    held_lamports: int = 0


@locks.unit_of_work
@transaction.atomic
def _enter_chunk(wishes: Sequence[Wish], journal: Journal, seed_of: SeedOf) -> tuple[list[EntryOutcome], list[Wish]]:
    agent_ids = sorted(frozenset[UUID]().union(*(wish.agent_ids for wish in wishes)))
    purses = spending.Purses(wish.trigger.limited_key_id for wish in wishes)
    with rows.pipeline():
        asked = candidates.ask(agent_ids, [wish.trigger.mint for wish in wishes], now=clock.now())
        answers = journal.answers([wish.trigger.signal_id for wish in wishes], agent_ids)
    found, given = asked.candidates(), answers.given()
    policies = agents.policies(candidate.config_id for candidate in found.values())
    outcomes: list[EntryOutcome] = []
    planned: list[_Planned] = []
    late: list[Wish] = []
    seen: set[UUID] = set()
    now = clock.now()
    for wish in wishes:
        signal_id, later = wish.trigger.signal_id, []
        for agent_id, candidate in found.items():
            if agent_id not in wish.agent_ids or (signal_id, agent_id) in given:
                continue
            policy = policies[candidate.config_id]
            if agent_id in seen and _looks_back(policy):
                later.append(agent_id)
                continue
            seen.add(agent_id)
            try:
                plan = _plan(wish.trigger, candidate, policy, wish.market, purses, seed_of, now)
            except Refusal as refusal:
                outcomes.append(EntryOutcome(agent_id, refusal=refusal, signal_id=signal_id))
                continue
            planned.append(plan)
            outcomes.append(EntryOutcome(agent_id, order_id=plan.order.id, signal_id=signal_id))
        if later:
            late.append(Wish(wish.trigger, wish.market, frozenset(later)))
    purses.close()
    _write(planned, outcomes, journal, now)
    return outcomes, late


def _looks_back(policy: Policy) -> bool:
    """Whether a decision reads the agent's earlier orders from the database: its protections, the seed of a replay."""
    return policy.protections != pauses.NONE or bool(settings.ENGINE_SEED)


def _plan(
    trigger: Trigger,
    candidate: Candidate,
    policy: Policy,
    market: MarketFacts,
    purses: spending.Purses,
    seed_of: SeedOf,
    now: datetime,
) -> _Planned:
    """One agent's order, checked and sized; raises the Refusal that keeps it from one."""
    if not candidate.entries_on and not trigger.is_of_person:
        raise Refusal("AUTOMATED_TRADING_PAUSED", "Automated trading is paused.")
    reason = candidate.pause(trigger.mint) or pauses.check(
        candidate.agent_id, trigger.mint, policy.protections, now=now
    )
    if reason is not None:
        raise Refusal("PROTECTION_ACTIVE", f"Entries are paused: {reason}.", details={"reason": reason})
    seed = seed_of(candidate.agent_id)
    lamports = _size(trigger, candidate, policy, seed)
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
    purses.take(trigger.limited_key_id, lamports)
    if quote is not None and quote.delay_ms == 0 and quote.outcome is Outcome.OK:
        _fill(order, quote, now)
        fees = quote.network_fee_lamports
        candidate.take(
            trigger.mint,
            lamports=quote.amount_in + fees,
            paid_lamports=quote.amount_in + fees + quote.rent_lamports,
        )
        return _Planned(order, policy, market, candidate.epoch)
    held = lamports + venue.fees(request)
    candidate.take(trigger.mint, lamports=lamports, paid_lamports=held)
    return _Planned(order, policy, market, candidate.epoch, held)


def _size(trigger: Trigger, candidate: Candidate, policy: Policy, seed: int) -> int:
    holding = candidate.holding(trigger.mint)
    return validation.validate_entry(
        validation.EntryFacts(
            balance_lamports=candidate.free_lamports,
            has_wallet=candidate.wallet_id is not None,
            is_wallet_of_agent=trigger.wallet_id in (None, candidate.wallet_id),
            is_wallet_of_mode=candidate.wallet_kind == candidate.mode,
            has_position=holding.has_token,
            open_positions=candidate.open_positions,
            exposure_lamports=candidate.exposure_lamports,
            token_exposure_lamports=holding.lamports,
            requested_lamports=trigger.requested_lamports,
        ),
        policy,
        sizing.draw(seed),
    )


def _fill(order: EntryOrder, quote: Quote, now: datetime) -> None:
    order.position_id, order.quote, order.amount = uuid7(), quote, quote.amount_in
    order.stages |= dict.fromkeys(("quoted", "submitted", "filled"), booking.stamp(now))


def _order(
    trigger: Trigger, candidate: Candidate, market: MarketFacts, *, seed: int, lamports: int, now: datetime
) -> EntryOrder:
    tick = market.latest
    assert tick is not None
    assert candidate.wallet_id is not None
    key = trigger.key_text or f"entry:{candidate.agent_id}:{trigger.signal_id}"
    return EntryOrder(
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
        plan={"reason": "manual" if trigger.signal_id is None else "signal", "symbol": market.symbol},
        price=tick.price_sol,
        price_at=tick.observed_at,
        price_source=tick.source,
        profile=candidate.profile,
        seed=seed,
        amount=lamports,
        stages={
            "received": booking.stamp(trigger.received_at or now),
            "verdict": booking.stamp(trigger.verdict_at or now),
            "order_committed": booking.stamp(now),
        },
        created_at=now,
    )


def _write(planned: Sequence[_Planned], outcomes: Sequence[EntryOutcome], journal: Journal, now: datetime) -> None:
    """Everything the chunk decided, in one pipeline; the events last."""
    filled = [_opening(plan) for plan in planned if plan.order.quote is not None]
    waiting = [plan for plan in planned if plan.order.quote is None]
    wallets.hold([wallets.NewHold(p.order.id, p.order.wallet_id, SOL_MINT, p.held_lamports, now) for p in waiting])
    with rows.pipeline():
        openings.insert_orders([plan.order for plan in planned], at=now)
        created = booking.open_positions(filled, at=now)
        journal.write(outcomes)
        events.append(created)
    if waiting:
        bell.task(orders.ENTRIES_DRAIN[0], queue=orders.ENTRIES_DRAIN[1])
    if filled:
        booking.publish_filled([opening.order.id for opening in filled])
    if planned:
        reach("entry_before_commit")


def _opening(plan: _Planned) -> openings.Opening:
    order, market = plan.order, plan.market
    assert order.quote is not None
    assert order.position_id is not None
    return openings.Opening(
        order, order.quote, plan.policy, market.symbol, market.decimals, plan.epoch, market.sol_usd, order.position_id
    )
