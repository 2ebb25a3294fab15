"""What nobody asks for and must happen anyway: positions that cannot be traded are marked, and those left behind by an
archived agent or an ended assignment are closed.

Each work is idempotent, runs beside itself, and goes on where a dead process stopped.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from agents.models import Assignment
from nexgent import clock
from nexgent.api.wire import stamp
from nexgent.errors import Refusal
from nexgent.events import alarms
from nexgent.events import services as events
from nexgent.events.models import Alarm
from prices import absence
from prices import selectors as prices
from prices.records import EXIT_MAX_AGE
from trading import live, services
from trading.engine import booking, locks, positions
from trading.models import OPEN_STATES, Order, Position, Side
from wallets.models import Kind

log = logging.getLogger(__name__)
UNPRICED_FOR = timedelta(minutes=15)
SOURCES_MIN = 2
UNTRADABLE = "POSITION_UNTRADABLE"
LEFT_BEHIND = "left_behind"
LEFT_BEHIND_MAX = 500
"""Sales planned by one sweep; the next one goes on."""


def mark_untradable() -> list[UUID]:
    """Mark open positions whose token has had no price at two sources for 15 minutes, and take the mark off those that
    have one again; returns the positions whose mark changed.

    A silent feed proves nothing: both sources must have answered without the token all that time (D-11).
    """
    now = clock.now()
    _clear_closed(now)
    held = dict(Position.objects.filter(closed_at=None).values_list("id", "token_id"))
    marked = set(Position.objects.filter(closed_at=None, untradable_at__isnull=False).values_list("id", flat=True))
    latest = prices.latest(sorted(set(held.values())))
    fresh = {mint for mint, tick in latest.items() if prices.is_fresh(tick, now=now, max_age=EXIT_MAX_AGE)}
    silent = [m for m in set(held.values()) if m not in latest or now - latest[m].observed_at >= UNPRICED_FOR]
    proofs = _proofs(sorted(silent), now)
    changed = [position_id for position_id, mint in sorted(held.items()) if position_id in marked and mint in fresh] + [
        position_id for position_id, mint in sorted(held.items()) if position_id not in marked and mint in proofs
    ]
    return [position_id for position_id in changed if _mark(position_id, proofs.get(held[position_id]), at=now)]


def _clear_closed(now: datetime) -> None:
    """End the alarms of positions that were sold or written off meanwhile."""
    raised = [
        UUID(subject)
        for subject in Alarm.objects.filter(code=UNTRADABLE, cleared_at=None).values_list("subject", flat=True)
    ]
    for position_id in Position.objects.filter(id__in=raised, closed_at__isnull=False).values_list("id", flat=True):
        alarms.clear(UNTRADABLE, subject=str(position_id), at=now)


def _proofs(mints: Sequence[str], now: datetime) -> dict[str, list[absence.Absence]]:
    """The mints that enough sources have had no price for, long enough, with what they said."""
    known = absence.absences(mints, sources=settings.PRICE_FEEDS, now=now)
    agreed = {mint: [said for said in found if now - said.since >= UNPRICED_FOR] for mint, found in known.items()}
    return {mint: found for mint, found in agreed.items() if len(found) >= SOURCES_MIN}


@locks.unit_of_work
@transaction.atomic
def _mark(position_id: UUID, proof: list[absence.Absence] | None, *, at: datetime) -> bool:
    """Set the mark with its proof, or take it off; False when somebody did so, or closed the position, before."""
    locks.positions([position_id])
    position = Position.objects.select_related("watermark").get(id=position_id)
    if position.closed_at is not None or (position.untradable_at is None) is (proof is None):
        return False
    state = positions.state_of(position)
    positions.take(position, state, at=at)
    position.untradable_at = None if proof is None else at
    position.save(update_fields=["untradable_at", "version", "updated_at"])
    if proof is None:
        alarms.clear(UNTRADABLE, subject=str(position_id), at=at)
    else:
        alarms.raise_alarm(
            UNTRADABLE,
            subject=str(position_id),
            detail={
                "agentId": str(position.agent_id),
                "tokenAddress": position.token_id,
                "sources": {said.source: stamp(said.since) for said in proof},
            },
            workspace_id=position.workspace_id,
            agent_id=position.agent_id,
            at=at,
        )
    booking.publish_changed(position_id)
    known = live.seen(position.token_id, now=at)
    events.append([live.position_event(position, state, kind="position_updated", at=at, known=known)])
    return True


def close_left_behind(*, agent_id: UUID | None = None) -> list[UUID]:
    """Plan the sale of simulated positions whose wallet is no longer their agent's; returns the orders.

    Of one agent or of all. They are sold at the last known price by the normal way of an order; a sale that failed is
    planned again.
    """
    assigned = Assignment.objects.filter(agent=OuterRef("agent"), wallet=OuterRef("wallet"), ended_at=None)
    selling = Order.objects.filter(position=OuterRef("pk"), side=Side.SELL, state__in=OPEN_STATES)
    left = Position.objects.filter(closed_at=None, wallet__kind=Kind.SIMULATION).exclude(
        Exists(assigned) | Exists(selling)
    )
    if agent_id is not None:
        left = left.filter(agent_id=agent_id)
    return close(left.order_by("id").values_list("id", flat=True)[:LEFT_BEHIND_MAX], reason=LEFT_BEHIND)


def close(position_ids: Sequence[UUID], *, reason: str) -> list[UUID]:
    """Plan a full sale of each position; one whose sale is under way or that is closed needs none."""
    planned = []
    for position_id in position_ids:
        try:
            planned.append(services.position_close(position_id=position_id, principal="system", reason=reason))
        except Refusal as refusal:
            log.info("position not sold now: %s", refusal.code, extra={"position_id": str(position_id)})
    return planned
