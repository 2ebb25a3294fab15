"""The fill model of the simulated venue, pure and repeatable.

`ideal` fills at the given price in exact integers. `realistic` adds what a real swap costs: the impact of a
constant-product pool, its fee, network fees, rent, a landing delay, failure and expiry. Everything random is drawn
from the order's seed, so that a quote can be repeated to the lamport.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from nexgent.errors import Refusal
from nexgent.money import exact, floor, units_for, value_lamports
from trading.rules.sizing import draw

_BASIS = 10_000
_FAILURE, _DELAY, _PRIORITY = 1, 2, 3
"""Which draw of the seed decides what; 0 is the size draw of the order."""


class Outcome(StrEnum):
    OK = "ok"
    FAILED = "failed"
    """Landed and reverted: the network fee is paid, nothing is exchanged."""
    EXPIRED = "expired"
    """Never landed: nothing is paid."""


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """What a swap costs beside the pool: protocol fee in basis points of the SOL side, the rest in lamports."""

    protocol_bps: int = 0
    signature_lamports: int = 0
    priority_lamports: int = 0
    rent_lamports: int = 0


@dataclass(frozen=True, slots=True)
class Realism:
    """Parameters of the profile `realistic`. Rates are fractions, drawn once per order."""

    pool_fee_bps: int = 25
    signature_lamports: int = 5_000
    priority_lamports_min: int = 20_000
    priority_lamports_max: int = 200_000
    rent_lamports: int = 2_039_280
    delay_ms_min: int = 400
    delay_ms_max: int = 2_000
    failure_rate: Decimal = Decimal("0.02")
    expiry_rate: Decimal = Decimal("0.005")
    expiry_ms: int = 60_000


FREE = FeeSchedule()
REALISTIC = Realism()


@dataclass(frozen=True, slots=True)
class Quote:
    """Exact amounts of one swap: lamports in and units out for a buy, units in and lamports out for a sell.

    `amount_out` is before protocol and network fee; impact is a fraction.
    """

    amount_in: int
    amount_out: int
    price_impact: Decimal
    protocol_fee_lamports: int = 0
    network_fee_lamports: int = 0
    rent_lamports: int = 0
    delay_ms: int = 0
    outcome: Outcome = Outcome.OK


@exact
def ideal(
    *, is_buy: bool, amount: int, price: Decimal, decimals: int, fees: FeeSchedule = FREE, opens_account: bool = True
) -> Quote:
    """A fill at exactly `price`: no impact, no delay, and the fees of the schedule (none unless given)."""
    out = units_for(amount, price, decimals) if is_buy else value_lamports(amount, price, decimals)
    return Quote(
        amount_in=amount,
        amount_out=out,
        price_impact=Decimal(0),
        protocol_fee_lamports=(amount if is_buy else out) * fees.protocol_bps // _BASIS,
        network_fee_lamports=fees.signature_lamports + fees.priority_lamports,
        rent_lamports=fees.rent_lamports if is_buy and opens_account else 0,
    )


@exact
def realistic(
    *,
    is_buy: bool,
    amount: int,
    price: Decimal,
    decimals: int,
    depth_lamports: int | None,
    seed: int,
    opens_account: bool = True,
    realism: Realism = REALISTIC,
) -> Quote:
    """A fill against a constant-product pool whose SOL side holds `depth_lamports`.

    With x after the pool fee: a buy gets (x / price) x L / (L + x), a sell worth x at `price` gets x x L / (L + x), and
    the impact is x / (L + x). Raises Refusal LIQUIDITY_UNKNOWN for a buy without a depth; a sale, which must never be
    blocked, then goes without impact.
    """
    if is_buy and not depth_lamports:
        raise Refusal("LIQUIDITY_UNKNOWN", "The pool's depth is not known.")
    worth = Decimal(amount) if is_buy else price * Decimal(amount).scaleb(9 - decimals)
    swapped = worth * (_BASIS - realism.pool_fee_bps) / _BASIS
    impact = swapped / (swapped + depth_lamports) if depth_lamports else Decimal(0)
    received = swapped * (1 - impact)
    out = floor(received.scaleb(decimals - 9) / price) if is_buy else floor(received)
    outcome, delay_ms = _landing(seed, realism)
    spread = realism.priority_lamports_max - realism.priority_lamports_min
    priority = realism.priority_lamports_min + floor(draw(seed, _PRIORITY) * spread)
    return Quote(
        amount_in=amount,
        amount_out=out,
        price_impact=impact,
        network_fee_lamports=0 if outcome is Outcome.EXPIRED else realism.signature_lamports + priority,
        rent_lamports=realism.rent_lamports if is_buy and opens_account else 0,
        delay_ms=delay_ms,
        outcome=outcome,
    )


def _landing(seed: int, realism: Realism) -> tuple[Outcome, int]:
    chance = draw(seed, _FAILURE)
    if chance < realism.expiry_rate:
        return Outcome.EXPIRED, realism.expiry_ms
    delay_ms = realism.delay_ms_min + floor(draw(seed, _DELAY) * (realism.delay_ms_max - realism.delay_ms_min))
    is_failed = chance < realism.expiry_rate + realism.failure_rate
    return (Outcome.FAILED if is_failed else Outcome.OK), delay_ms
