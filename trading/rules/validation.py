"""What must hold before an entry is planned: the checks in their order, each with its own code."""

from dataclasses import dataclass
from decimal import Decimal

from nexgent.errors import Refusal
from trading.rules.policy import Limits, Policy
from trading.rules.sizing import MINIMUM_TRADE_LAMPORTS, exposure_room, position_size


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """What is known about an agent and its wallet under their locks, in lamports.

    An open entry order counts as a position: for `has_position`, `open_positions` and the exposures.
    """

    balance_lamports: int
    """Free SOL: balance without holds."""
    has_agent: bool = True
    has_config: bool = True
    has_wallet: bool = True
    is_wallet_of_agent: bool = True
    is_wallet_loaded: bool = True
    is_wallet_of_mode: bool = True
    has_position: bool = False
    open_positions: int = 0
    exposure_lamports: int = 0
    token_exposure_lamports: int = 0
    requested_lamports: int | None = None
    """Set by a person; None lets the rules choose."""


def validate_entry(facts: EntryFacts, policy: Policy, draw: Decimal) -> int:
    """Lamports that the entry may spend; `draw` in [0, 1) chooses within the size range.

    Raises Refusal with the first code that applies; a computed size that fails is POSITION_CALCULATION_ERROR with
    the inner code in `details`.
    """
    _preconditions(facts, policy.limits)
    room = exposure_room(
        policy.limits,
        exposure_lamports=facts.exposure_lamports,
        token_exposure_lamports=facts.token_exposure_lamports,
    )
    if facts.requested_lamports is not None:
        return _requested(facts.requested_lamports, facts.balance_lamports, policy.limits, room)
    try:
        lamports = position_size(facts.balance_lamports, policy.sizing, policy.limits, draw).lamports
    except Refusal as refusal:
        raise Refusal("POSITION_CALCULATION_ERROR", refusal.message, details={"code": refusal.code}) from refusal
    if room is not None and room < lamports:
        lamports = room
        if lamports < MINIMUM_TRADE_LAMPORTS:
            raise Refusal("MAX_EXPOSURE_EXCEEDED", "The exposure limits leave less than 0.01 SOL.")
    return lamports


def _preconditions(facts: EntryFacts, limits: Limits) -> None:
    if not facts.has_agent:
        raise Refusal("AGENT_NOT_FOUND", "Agent not found.")
    if not facts.has_config:
        raise Refusal("CONFIG_ERROR", "The agent's configuration cannot be read.")
    if not facts.has_wallet:
        raise Refusal("WALLET_NOT_FOUND", "The agent has no such wallet.")
    if not facts.is_wallet_of_agent:
        raise Refusal("WALLET_MISMATCH", "The wallet belongs to another agent.")
    if not facts.is_wallet_loaded:
        raise Refusal("WALLET_NOT_LOADED", "The wallet's key is not available.")
    if not facts.is_wallet_of_mode:
        raise Refusal("TRADING_MODE_MISMATCH", "The wallet is not of the agent's trading mode.")
    if facts.balance_lamports <= 0:
        raise Refusal("INSUFFICIENT_BALANCE", "The wallet holds no SOL.")
    if facts.balance_lamports < limits.minimum_balance_lamports:
        raise Refusal("BELOW_MINIMUM_THRESHOLD", "The balance is below the reserve.")
    if facts.has_position:
        raise Refusal("POSITION_EXISTS", "There is already a position in this token.")
    if facts.open_positions >= limits.max_open_positions:
        raise Refusal("MAX_POSITIONS_EXCEEDED", "The agent holds as many positions as it may.")


def _requested(lamports: int, balance_lamports: int, limits: Limits, room: int | None) -> int:
    if lamports <= 0:
        raise Refusal("INVALID_POSITION_SIZE", "The position size is not positive.")
    if lamports > balance_lamports:
        raise Refusal("POSITION_SIZE_EXCEEDS_BALANCE", "The position size exceeds the balance.")
    if balance_lamports - lamports < limits.minimum_balance_lamports:
        raise Refusal("VIOLATES_MINIMUM_BALANCE", "The reserve would not remain.")
    if lamports > limits.max_purchase_lamports:
        raise Refusal("EXCEEDS_MAX_PURCHASE", "The size exceeds the limit of one purchase.")
    if room is not None and lamports > room:
        raise Refusal("MAX_EXPOSURE_EXCEEDED", "The size exceeds what the exposure limits leave.")
    if lamports < MINIMUM_TRADE_LAMPORTS:
        raise Refusal("BELOW_MINIMUM_TRADE", "The trade is below 0.01 SOL.")
    return lamports
