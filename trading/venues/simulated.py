"""The simulated venue: fills computed by `trading.rules.market`, nothing leaves the process.

Profile `ideal` fills at the given price; `realistic` adds impact, fees, rent, a landing delay, failure and expiry, all
from the order's seed. Neither quotes from a price older than the exit limit, except when a person asked.
"""

from nexgent import clock
from nexgent.errors import Refusal
from prices.records import EXIT_MAX_AGE
from trading.rules import market
from trading.rules.market import FREE, REALISTIC, FeeSchedule, Outcome, Quote, Realism
from trading.venues import registry
from trading.venues.protocol import Request


class Simulated:
    """`realism` None is the profile `ideal`, with the fees of a schedule (none unless given)."""

    is_local = True

    def __init__(self, *, realism: Realism | None = None, fees: FeeSchedule = FREE) -> None:
        self.realism = realism
        self.schedule = fees

    def fees(self, request: Request) -> int:
        if self.realism is None:
            schedule = self.schedule  # the rent of a schedule is charged on every buy
            return schedule.signature_lamports + schedule.priority_lamports + schedule.rent_lamports
        quote = self._fill(request)
        return quote.network_fee_lamports + quote.rent_lamports

    def quote(self, request: Request) -> Quote:
        if not request.is_manual and clock.now() - request.price_at > EXIT_MAX_AGE:
            raise Refusal("PRICE_STALE", "The price is too old to trade at.")
        return self._fill(request)

    def submit(self, request: Request, quote: Quote) -> None:
        """Nothing to send: the order lands by its clock."""

    def resolve(self, request: Request, quote: Quote) -> Quote:
        if quote.outcome is Outcome.FAILED:
            raise Refusal("EXECUTION_FAILED", "The transaction landed and was reverted.")
        if quote.outcome is Outcome.EXPIRED:
            raise Refusal("TRANSACTION_EXPIRED", "The transaction never landed.")
        return quote

    def _fill(self, request: Request) -> Quote:
        if self.realism is None:
            return market.ideal(
                is_buy=request.is_buy,
                amount=request.amount,
                price=request.price,
                decimals=request.decimals,
                fees=self.schedule,
            )
        return market.realistic(
            is_buy=request.is_buy,
            amount=request.amount,
            price=request.price,
            decimals=request.decimals,
            depth_lamports=request.depth_lamports,
            seed=request.seed,
            opens_account=request.opens_account,
            realism=self.realism,
        )


def register_profiles() -> None:
    """Make the two profiles known; called when the app starts."""
    registry.register("ideal", Simulated())
    registry.register("realistic", Simulated(realism=REALISTIC))
