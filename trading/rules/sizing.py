"""How much an order buys: from the balance for entries, cut to limits and reserve for DCA."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from nexgent.errors import Refusal
from nexgent.money import EXACT, exact, floor
from trading.rules.policy import Limits, SizeRange, SizingPolicy

MINIMUM_TRADE_LAMPORTS = 10_000_000
"""0.01 SOL: the smallest buy and the smallest manual part close; exactly this much is allowed."""

_DRAW_RANGE = 2**64


class SizeCategory(StrEnum):
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


@dataclass(frozen=True, slots=True)
class SizeResult:
    lamports: int
    category: SizeCategory
    is_randomised: bool


def draw(seed: int, index: int = 0) -> Decimal:
    """The `index`-th number in [0, 1) of a seed: SHA-256 of both, so that every decision can be replayed."""
    digest = hashlib.sha256(f"{seed}:{index}".encode()).digest()
    return EXACT.divide(Decimal(int.from_bytes(digest[:8], "big")), Decimal(_DRAW_RANGE))


def seed_of(*parts: object) -> int:
    """A seed made of facts (of which order, of which position): 63 bits of SHA-256 over their text."""
    text = "|".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def category_of(balance_lamports: int, sizing: SizingPolicy) -> tuple[SizeCategory, SizeRange]:
    """The size range that a balance calls for."""
    if balance_lamports >= sizing.large_lamports:
        return SizeCategory.LARGE, sizing.large_size
    if balance_lamports >= sizing.medium_lamports:
        return SizeCategory.MEDIUM, sizing.medium_size
    return SizeCategory.SMALL, sizing.small_size


@exact
def position_size(balance_lamports: int, sizing: SizingPolicy, limits: Limits, draw: Decimal) -> SizeResult:
    """The size of an entry for a balance and a draw in [0, 1).

    Raises Refusal INSUFFICIENT_BALANCE, BELOW_MINIMUM_THRESHOLD, INSUFFICIENT_BALANCE_FOR_MINIMUM,
    INVALID_POSITION_SIZE, POSITION_SIZE_EXCEEDS_BALANCE, BELOW_MINIMUM_TRADE, in this order.
    """
    if balance_lamports <= 0:
        raise Refusal("INSUFFICIENT_BALANCE", "The wallet holds no SOL.")
    if balance_lamports < sizing.minimum_lamports:
        raise Refusal("BELOW_MINIMUM_THRESHOLD", "The balance is below the smallest threshold.")
    category, size_range = category_of(balance_lamports, sizing)
    lamports = size_range.max_lamports
    if size_range.min_lamports >= size_range.max_lamports:
        lamports = size_range.min_lamports
    elif sizing.randomise:
        lamports = size_range.min_lamports + floor(draw * (size_range.max_lamports - size_range.min_lamports))
    lamports = min(lamports, limits.max_purchase_lamports)
    if balance_lamports - lamports < limits.minimum_balance_lamports:
        room = balance_lamports - limits.minimum_balance_lamports
        if room <= 0:
            raise Refusal("INSUFFICIENT_BALANCE_FOR_MINIMUM", "The reserve leaves nothing to spend.")
        lamports = min(room, limits.max_purchase_lamports)
    if lamports <= 0:
        raise Refusal("INVALID_POSITION_SIZE", "The position size is not positive.")
    if lamports > balance_lamports:
        raise Refusal("POSITION_SIZE_EXCEEDS_BALANCE", "The position size exceeds the balance.")
    if lamports < MINIMUM_TRADE_LAMPORTS:
        raise Refusal("BELOW_MINIMUM_TRADE", "The trade is below 0.01 SOL.")
    return SizeResult(lamports, category, sizing.randomise)


def dca_size(
    wanted_lamports: int,
    limits: Limits,
    *,
    free_lamports: int,
    fees_lamports: int = 0,
    exposure_lamports: int = 0,
    token_exposure_lamports: int = 0,
) -> int:
    """What DCA may buy of what it wants: the cap of one order, the reserve after fees and rent, the exposure limits.

    `fees_lamports` is everything paid beside the amount. Raises Refusal INSUFFICIENT_BALANCE_FOR_MINIMUM,
    MAX_EXPOSURE_EXCEEDED, MAX_TOKEN_EXPOSURE_EXCEEDED or BELOW_MINIMUM_TRADE.
    """
    room = free_lamports - fees_lamports - limits.minimum_balance_lamports
    if room <= 0:
        raise Refusal("INSUFFICIENT_BALANCE_FOR_MINIMUM", "The reserve leaves nothing to spend.")
    exposure = exposure_room(
        limits, exposure_lamports=exposure_lamports, token_exposure_lamports=token_exposure_lamports
    )
    lamports = min(wanted_lamports, limits.max_purchase_lamports, room)
    if exposure is not None:
        lamports = min(lamports, exposure)
    if lamports < MINIMUM_TRADE_LAMPORTS:
        raise Refusal("BELOW_MINIMUM_TRADE", "The trade is below 0.01 SOL.")
    return lamports


def exposure_room(limits: Limits, *, exposure_lamports: int, token_exposure_lamports: int) -> int | None:
    """Lamports that the exposure limits still allow, None without limits.

    Exposure is the cost of open positions plus open buy orders. Raises Refusal MAX_EXPOSURE_EXCEEDED or
    MAX_TOKEN_EXPOSURE_EXCEEDED when nothing is left.
    """
    rooms: list[int] = []
    if limits.max_exposure_lamports is not None:
        rooms.append(limits.max_exposure_lamports - exposure_lamports)
        if rooms[-1] <= 0:
            raise Refusal("MAX_EXPOSURE_EXCEEDED", "The agent's exposure limit is reached.")
    if limits.max_exposure_per_token_lamports is not None:
        rooms.append(limits.max_exposure_per_token_lamports - token_exposure_lamports)
        if rooms[-1] <= 0:
            raise Refusal("MAX_TOKEN_EXPOSURE_EXCEEDED", "The exposure limit of this token is reached.")
    return min(rooms) if rooms else None
