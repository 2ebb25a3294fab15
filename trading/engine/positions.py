"""Between the position row and the rules' `PositionState`: one mapping, used by the book, the executor and the
services.
"""

import logging
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import OperationalError, connection

from agents import policy as agent_policy
from agents import selectors as agents
from nexgent.events import alarms
from trading.models import Position, Watermark
from trading.rules.policy import Policy, StopMode, StopPolicy
from trading.rules.position import PositionState

log = logging.getLogger(__name__)
STATE_FIELDS = (
    "decimals",
    "opened_at",
    "average",
    "bought_units",
    "remaining_units",
    "invested_lamports",
    "cost_lamports",
    "received_lamports",
    "realised_lamports",
    "rent_lamports",
    "generation",
    "dca_count",
    "last_dca_at",
    "dca_not_before",
    "levels_hit",
    "batch_start",
    "total_levels",
    "moon_bag_active",
    "moon_bag_units",
)


def state_of(position: Position) -> PositionState:
    """The rules' view of a row, with the extremes of its watermark."""
    mark = position.watermark
    # Row and watermark know each other: a ring that only the garbage collector would find, thousands a minute.
    mark._state.fields_cache.pop("position", None)
    return PositionState(
        peak=mark.peak,
        stop_percent=mark.stop_percent,
        low=mark.low,
        **{name: getattr(position, name) for name in STATE_FIELDS},
    )


def with_extremes(state: PositionState, seen: PositionState) -> PositionState:
    """`state` with the extremes of both; they must be of one generation."""
    return replace(
        state,
        peak=max(state.peak, seen.peak),
        stop_percent=max(state.stop_percent, seen.stop_percent),
        low=min(state.low, seen.low),
    )


def is_readable(position: Position, *, at: datetime) -> bool:
    """Whether the rules of a position can be compiled; one whose cannot is told, and keeps nobody else waiting."""
    try:
        policy_of(position)
    except OperationalError:
        raise
    except Exception as problem:
        tell_stuck(position, problem, at=at)
        return False
    return True


def tell_stuck(position: Position, problem: Exception, *, at: datetime) -> None:
    """Log and alarm that a position cannot be decided on; the others go on."""
    log.error("position not decided", extra={"position_id": str(position.id)}, exc_info=problem)
    alarms.raise_alarm(
        "POSITION_STUCK",
        subject=str(position.id),
        detail={"problem": type(problem).__name__},
        workspace_id=position.workspace_id,
        agent_id=position.agent_id,
        at=at,
    )


def take(position: Position, state: PositionState, *, at: datetime) -> None:
    """Copy a state into the row and raise its version; the caller holds the row's lock and saves."""
    for name in STATE_FIELDS:
        setattr(position, name, getattr(state, name))
    position.version += 1
    position.updated_at = at


def save_watermark(position_id: UUID, state: PositionState, *, at: datetime) -> None:
    """Replace the extremes: a new generation began (DCA fill, pinned stop)."""
    Watermark.objects.filter(position_id=position_id).update(
        generation=state.generation, peak=state.peak, stop_percent=state.stop_percent, low=state.low, at=at
    )


def raise_watermark(position_id: UUID, state: PositionState, *, at: datetime) -> None:
    """Keep what the engine had seen when it decided, should it die before it writes; the generation must agree."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE trading_watermark SET peak = GREATEST(peak, %s), stop_percent = GREATEST(stop_percent, %s), "
            "low = LEAST(low, %s), at = %s WHERE position_id = %s AND generation = %s",
            [state.peak, state.stop_percent, state.low, at, position_id, state.generation],
        )


PINNED = "pinnedStopPercent"
"""Key of an override that holds the stop itself, as text."""


def policy_of(position: Position) -> Policy:
    """The configuration version that the position pins, with its own stop and ladder where it has them.

    A pinned stop stands still: it does not trail until it is taken off.
    """
    own = dict(position.override or {})
    pinned = own.pop(PINNED, None)
    policy = agent_policy.with_override(agents.policy(position.config_id), own)
    if pinned is None:
        return policy
    return replace(policy, stop=StopPolicy(enabled=True, mode=StopMode.CUSTOM, default_percent=Decimal(pinned)))


def switches(position: Position) -> tuple[bool, bool]:
    """(entries, exits) of the position's agent, by the mode of the position's own wallet."""
    agent = position.agent
    if position.wallet.kind == "live":
        return agent.entries_live, agent.exits_live
    return agent.entries_simulation, agent.exits_simulation
