"""Replay through the pure rules, in one process and in memory: what the engine must do, without any of its machinery.

The loop knows orders only as far as the rules speak of them: one open sale and one open buy, retries that wait, parts
of a split exit. `engine_loop` runs the same tape through Celery, PostgreSQL and Valkey; their decision hashes are
equal.
"""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agents.policy import compile_policy
from nexgent import clock
from nexgent.errors import Refusal
from prices.records import PriceTick
from trading.replay.plan import Plan
from trading.replay.report import START_LAMPORTS, Decision, ReplayTrade, Report, config_version
from trading.rules import apply as rules_apply
from trading.rules import impact, market, retry, sizing, validation
from trading.rules.decide import decide, watch
from trading.rules.decision import Buy, Consume, Rule, Sell
from trading.rules.market import Outcome, Quote
from trading.rules.position import Bought, DcaPostponed, LevelsConsumed, PositionState, Sold, Tick

DECIMALS = 9


@dataclass(slots=True)
class _Open:
    """An order that is not final: what was decided, on which tick, and from when it may be executed."""

    command: Sell | Buy
    rule: str
    tick: Tick
    ordinal: int
    amount: int
    exit_units: int
    part: int = 1
    not_before: datetime | None = None
    decided_at: datetime | None = None


class Simulation:
    """One agent, one token, one wallet."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.config = plan.full_config()
        self.policy = compile_policy(self.config)
        self.balance = START_LAMPORTS
        self.entries = 0
        self.free_at: datetime | None = None
        self.position: PositionState | None = None
        self.seed = 0
        self.sale: _Open | None = None
        self.buy: _Open | None = None
        self.ordinals: dict[str, int] = {}
        self.failures = 0
        self.exit_not_before: datetime | None = None
        self.decisions: list[Decision] = []
        self.trades: list[ReplayTrade] = []

    # -- one tick ---------------------------------------------------------------------------------------------------

    def on(self, price: PriceTick) -> None:
        tick = Tick(price.price_sol, price.observed_at, price.source)
        if self.position is not None and tick.at > self.position.opened_at:
            self._decide(tick)
            while self._execute(tick):
                self._decide(tick)
        if self.position is None and (self.free_at is None or tick.at >= self.free_at):
            self._enter(tick)

    def _decide(self, tick: Tick) -> None:
        """Plan what this tick asks for, as the engine's pass does; levels consumed without a sale are asked again."""
        while self.position is not None:
            decision = decide(self.position, tick, self.policy, tick.at)
            self.position, command = decision.position, decision.command
            if isinstance(command, Consume):
                self._consume(command)
                continue
            if isinstance(command, Sell) and self._may_sell(command, tick):
                self._plan(command, tick, command.units)
            elif isinstance(command, Buy) and self.buy is None:
                self._plan(command, tick, command.lamports)
            return

    def _may_sell(self, command: Sell, tick: Tick) -> bool:
        """Whether a sale may be planned: none is open, and after a failed one only a stop does not wait; it takes the
        place of one that waits to be tried again.
        """
        if command.rule is Rule.STOP_LOSS:
            if self.sale is not None and self.sale.not_before is not None and retry.gives_way(self.sale.rule):
                self.sale = None
            return self.sale is None
        return self.sale is None and (self.exit_not_before is None or tick.at >= self.exit_not_before)

    def _consume(self, command: Consume) -> None:
        assert self.position is not None
        self.position = rules_apply.apply(self.position, LevelsConsumed(command.levels, command.moon_bag_units))

    # -- orders -----------------------------------------------------------------------------------------------------

    def _plan(
        self,
        command: Sell | Buy,
        tick: Tick,
        amount: int,
        *,
        rule: str = "",
        part: int = 1,
        exit_units: int = 0,
        not_before: datetime | None = None,
    ) -> None:
        rule = rule or command.rule.value
        ordinal = self.ordinals.get(rule, 0)
        self.ordinals[rule] = ordinal + 1
        order = _Open(command, rule, tick, ordinal, amount, exit_units or amount, part, not_before, tick.at)
        is_sale = isinstance(command, Sell)
        units, lamports = (amount, 0) if is_sale else (0, amount)
        self._record(tick, rule, command.reason, ordinal=ordinal, units=units, lamports=lamports)
        if is_sale:
            self.sale = order
        else:
            self.buy = order

    def _record(self, tick: Tick, rule: str, reason: str, *, ordinal: int, units: int = 0, lamports: int = 0) -> None:
        self.decisions.append(Decision(clock.to_ms(tick.at), self.entries, rule, ordinal, reason, units, lamports))

    def _execute(self, tick: Tick) -> bool:
        """Execute what is due, sales first; returns whether anything was."""
        if self.sale is not None and (self.sale.not_before is None or self.sale.not_before <= tick.at):
            order, self.sale = self.sale, None
            self._sell(order, tick)
            return True
        if self.buy is not None:
            order, self.buy = self.buy, None
            self._dca(order, tick)
            return True
        return False

    def _quote(self, *, is_buy: bool, amount: int, tick: Tick, seed: int, opens_account: bool = False) -> Quote:
        if self.plan.profile == "ideal":
            return market.ideal(is_buy=is_buy, amount=amount, price=tick.price, decimals=DECIMALS)
        return market.realistic(
            is_buy=is_buy,
            amount=amount,
            price=tick.price,
            decimals=DECIMALS,
            depth_lamports=self.plan.depth_lamports,
            seed=seed,
            opens_account=opens_account,
        )

    def _gated_buy(self, amount: int, tick: Tick, seed: int, *, opens_account: bool) -> Quote:
        quotes: dict[int, Quote] = {}

        def ask(lamports: int) -> Quote:
            quotes[lamports] = self._quote(
                is_buy=True, amount=lamports, tick=tick, seed=seed, opens_account=opens_account
            )
            return quotes[lamports]

        limit = self.policy.limits.max_price_impact
        return quotes[impact.gate(amount, limit, lambda lamports: ask(lamports).price_impact)]

    def _sell(self, order: _Open, tick: Tick) -> None:
        assert self.position is not None
        assert isinstance(order.command, Sell)
        seed = sizing.seed_of(self.seed, order.rule, order.ordinal)
        limit = self.policy.limits.max_price_impact
        quotes: dict[int, Quote] = {}

        def ask(units: int) -> Quote:
            if units not in quotes:
                quotes[units] = self._quote(is_buy=False, amount=units, tick=tick, seed=seed)
            return quotes[units]

        units = impact.exit_part(
            order.exit_units, order.amount, limit, lambda units: ask(units).price_impact, part=order.part
        )
        quote = ask(units)
        if quote.outcome is not Outcome.OK:
            self._sale_failed(order, tick)
            return
        if order.command.is_full:
            self.buy = None
        self._book_sale(order, quote, tick)

    def _sale_failed(self, order: _Open, tick: Tick) -> None:
        self.failures += 1
        self.exit_not_before = tick.at + retry.retry_after(self.failures)
        if retry.is_stubborn(order.rule, order.part):
            self._plan(
                order.command,
                order.tick,
                order.amount,
                rule=order.rule,
                part=order.part,
                exit_units=order.exit_units,
                not_before=self.exit_not_before,
            )

    def _book_sale(self, order: _Open, quote: Quote, tick: Tick) -> None:
        assert self.position is not None
        assert isinstance(order.command, Sell)
        levels = order.command.levels if order.part == 1 else 0
        bag = order.command.moon_bag_units if order.part == 1 else None
        received = quote.amount_out - quote.protocol_fee_lamports - quote.network_fee_lamports
        state = rules_apply.apply(self.position, Sold(quote.amount_in, received, tick.at, levels, bag))
        self.balance += received
        self.failures, self.exit_not_before = 0, None
        self.position = state
        if state.is_closed:
            self._close(state, order.rule, tick)
            return
        rest = order.amount - quote.amount_in
        if rest > 0:
            self._plan(
                order.command, order.tick, rest, rule=order.rule, part=order.part + 1, exit_units=order.exit_units
            )
        elif order.rule != "tape_end":
            self._follow(order.tick)

    def _follow(self, tick: Tick) -> None:
        """After a fill: decide again on the tick that led to it."""
        while self.position is not None:
            decision = decide(self.position, tick, self.policy, tick.at)
            command = decision.command
            if isinstance(command, Consume):
                self._consume(command)
                continue
            if isinstance(command, Sell) and self.sale is None:
                self._plan(command, tick, command.units)
            elif isinstance(command, Buy) and self.buy is None:
                self._plan(command, tick, command.lamports)
            return

    def _close(self, state: PositionState, reason: str, tick: Tick) -> None:
        self.balance += state.rent_lamports
        self.trades.append(
            ReplayTrade(
                opened_at_ms=clock.to_ms(state.opened_at),
                closed_at_ms=clock.to_ms(tick.at),
                cost_lamports=state.invested_lamports,
                received_lamports=state.received_lamports,
                realised_lamports=state.realised_lamports,
                close_reason=reason,
                dca_count=state.dca_count,
                levels_hit=state.levels_hit,
            )
        )
        self.position, self.sale, self.buy = None, None, None
        self.free_at = tick.at + timedelta(seconds=self.plan.reentry_seconds)

    # -- buys -------------------------------------------------------------------------------------------------------

    def _enter(self, tick: Tick) -> None:
        self.free_at = tick.at + timedelta(seconds=self.plan.reentry_seconds)
        seed = sizing.seed_of(str(self.plan.seed), self.entries + 1, "entry", 0)
        try:
            facts = validation.EntryFacts(balance_lamports=self.balance)
            lamports = validation.validate_entry(facts, self.policy, sizing.draw(seed))
            quote = self._gated_buy(lamports, tick, seed, opens_account=True)
        except Refusal:
            return
        self.entries += 1
        self.seed, self.ordinals, self.failures, self.exit_not_before = seed, {}, 0, None
        amount = lamports if quote.delay_ms or quote.outcome is not Outcome.OK else quote.amount_in
        self._record(tick, "entry", "signal", ordinal=0, lamports=amount)
        if quote.outcome is not Outcome.OK:
            return
        self.balance -= quote.amount_in + quote.network_fee_lamports + quote.rent_lamports
        self.position = rules_apply.open_position(
            fill_lamports=quote.amount_in,
            units=quote.amount_out,
            fee_lamports=quote.network_fee_lamports,
            rent_lamports=quote.rent_lamports,
            decimals=DECIMALS,
            at=tick.at,
            default_stop_percent=self.policy.stop.default_percent,
            ladder_length=len(self.policy.ladder.levels),
        )

    def _dca(self, order: _Open, tick: Tick) -> None:
        assert self.position is not None
        command = decide(self.position, order.tick, self.policy, order.decided_at or order.tick.at).command
        if not isinstance(command, Buy):
            return
        seed = sizing.seed_of(self.seed, order.rule, order.ordinal)
        try:
            probe = self._quote(is_buy=True, amount=command.lamports, tick=order.tick, seed=seed)
            amount = sizing.dca_size(
                command.lamports,
                self.policy.limits,
                free_lamports=self.balance,
                fees_lamports=probe.network_fee_lamports + probe.rent_lamports,
                exposure_lamports=self.position.cost_lamports,
                token_exposure_lamports=self.position.cost_lamports,
            )
            quote = self._gated_buy(amount, tick, seed, opens_account=False)
            if quote.outcome is not Outcome.OK:
                raise Refusal("EXECUTION_FAILED")
        except Refusal:
            self.position = rules_apply.apply(self.position, DcaPostponed(tick.at + retry.DCA_POSTPONED))
            return
        self.balance -= quote.amount_in + quote.network_fee_lamports + quote.rent_lamports
        self.position = rules_apply.apply(
            self.position,
            Bought(
                lamports=quote.amount_in,
                units=quote.amount_out,
                fee_lamports=quote.network_fee_lamports,
                rent_lamports=quote.rent_lamports,
                at=tick.at,
                default_stop_percent=self.policy.stop.default_percent,
                ladder_length=len(self.policy.ladder.levels),
            ),
        )
        self._follow(order.tick)

    # -- the end ----------------------------------------------------------------------------------------------------

    def end(self, price: PriceTick) -> None:
        """Close what is open at the last price, reason `tape_end`; retries run until it is."""
        tick = Tick(price.price_sol, price.observed_at, price.source)
        if self.position is None:
            return
        self.sale = self.buy = None
        position = watch(self.position, tick.price, self.policy)
        command = Sell(Rule.STOP_LOSS, "tape_end", position.remaining_units, True)
        self._plan(command, tick, position.remaining_units, rule="tape_end")
        while self.sale is not None:
            if self.sale.not_before is not None:
                tick = replace(tick, at=max(tick.at, self.sale.not_before))
            self._execute(tick)


def run(plan: Plan) -> Report:
    """Replay one tape through the rules."""
    simulation = Simulation(plan)
    started, count, last = time.monotonic(), 0, None
    for last in plan.ticks():
        simulation.on(last)
        count += 1
    if last is not None:
        simulation.end(last)
    realised = sum(trade.realised_lamports for trade in simulation.trades)
    problems = [] if START_LAMPORTS + realised == simulation.balance else ["realised P/L is not the change in equity"]
    return Report(
        tape=plan.name,
        config_version=config_version(simulation.config),
        profile=plan.profile,
        through="rules",
        ticks=count,
        seconds=time.monotonic() - started,
        trades=simulation.trades,
        decisions=simulation.decisions,
        equity_lamports=simulation.balance,
        books={"balanced": not problems, "entries": len(simulation.decisions), "problems": problems},
    )
