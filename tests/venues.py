"""Venues for tests of the engine: ideal fills, and what a test wants to go wrong on the way.

They stand behind the same registry as the product's own; an agent's profile names one.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from nexgent.errors import Refusal
from nexgent.money import SOL_MINT
from prices.models import Token
from trading.rules.market import FREE, FeeSchedule, Quote, Realism
from trading.venues import registry
from trading.venues.protocol import Request
from trading.venues.simulated import Simulated

BUSY = Refusal("VENUE_UNAVAILABLE", "The venue does not answer.")
LOST = Refusal("TRANSACTION_EXPIRED", "The transaction never landed.")
FEES = FeeSchedule(protocol_bps=25, signature_lamports=5_000, priority_lamports=20_000, rent_lamports=2_039_280)


class Killed(BaseException):
    """The process dies here: nothing after it runs, nothing catches it."""


def nothing(request: Request) -> None:
    """The step of a venue on which nothing special happens."""


class OutsideVenue:
    """Fills at the price, over a wire: each step is a call that leaves the process.

    `refusals` answers the next quotes, `losses` the next submitted orders; `on_quote`, `on_submit` and `on_resolve` run
    inside the call.
    """

    is_local = False

    def __init__(self, *, fees: FeeSchedule = FREE, delay_ms: int = 0) -> None:
        self._ideal = Simulated(fees=fees)
        self.delay_ms = delay_ms
        self.refusals: deque[Refusal] = deque()
        self.losses: deque[Refusal] = deque()
        self.submitted: list[UUID] = []
        self.on_quote: Callable[[Request], None] = nothing
        self.on_submit: Callable[[Request], None] = nothing
        self.on_resolve: Callable[[Request], None] = nothing

    def fees(self, request: Request) -> int:
        return self._ideal.fees(request)

    def quote(self, request: Request) -> Quote:
        self.on_quote(request)
        if self.refusals:
            raise self.refusals.popleft()
        return replace(self._ideal.quote(request), delay_ms=self.delay_ms)

    def submit(self, request: Request, quote: Quote) -> None:
        self.on_submit(request)
        self.submitted.append(request.order_id)

    def resolve(self, request: Request, quote: Quote) -> Quote:
        self.on_resolve(request)
        if self.losses:
            raise self.losses.popleft()
        return quote


def register(name: str, venue: object) -> str:
    """Make a venue known as a profile; returns the name."""
    registry.register(name, venue)  # type: ignore[arg-type]
    return name


def outside(**options: object) -> OutsideVenue:
    """A new venue over a wire, known as the profile `outside`."""
    venue = OutsideVenue(**options)  # type: ignore[arg-type]
    register("outside", venue)
    return venue


def with_fees(fees: FeeSchedule = FEES) -> str:
    """The profile of a venue that fills at the price and takes fees and rent."""
    return register("fees", Simulated(fees=fees))


def pool(**realism: object) -> str:
    """The profile of a pool with impact and fees, without delay or failure (unless given)."""
    calm = {"delay_ms_min": 0, "delay_ms_max": 0, "failure_rate": Decimal(0), "expiry_rate": Decimal(0)}
    return register("pool", Simulated(realism=Realism(**calm | realism)))  # type: ignore[arg-type]


def set_depth(mint: str, lamports: int) -> None:
    """The depth of the SOL side of a token's pool."""
    assert mint != SOL_MINT
    Token.objects.filter(mint=mint).update(facts={"poolLamports": lamports})
