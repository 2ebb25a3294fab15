"""What a sell signal does to one agent: it closes the agent's position in the token, whatever is on its way there.

Everything is done in the caller's transaction, which writes the verdict too. Where something has to end first (an entry
on its way, a part of the position that is being sold) there is no verdict yet and the caller comes again. Each is
waited for only so long (`patience`); what was not submitted by then is ended, and of what is unknown the verdict tells.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from nexgent import clock
from nexgent.errors import NotFound, Refusal
from nexgent.events import services as events
from trading import live
from trading.engine import locks, orders, patience, sales
from trading.models import OPEN_STATES, Order, Position, Purpose, Side, State
from wallets import services as wallets


@dataclass(frozen=True, slots=True)
class SellSignal:
    """What of a signal counts for the sale."""

    id: int
    mint: str
    received_at: datetime


def follow(signal: SellSignal, *, agent_id: UUID, is_patient: bool) -> UUID | None:
    """Plan the sale of all that an agent holds of the token; its order, or None when something has to end first (only
    with `is_patient`). What was bought for a later signal, or by a person after this one, is not meant.

    Raises NotFound without a position, Refusal POSITION_CLOSED when another sale closed it meanwhile, SALE_IN_PROGRESS
    beside one that closes it or whose end is unknown, ORDER_IN_PROGRESS beside an entry whose end is unknown.
    """
    if is_patient and (entry := _entry(signal, agent_id)) is not None:
        _await_entry(entry, signal)
        return None
    meant = _meant(signal, agent_id)
    position_id = meant.filter(closed_at=None).values_list("id", flat=True).first()
    if position_id is None:
        if meant.filter(closed_at__gte=signal.received_at).exists():
            raise _closed()
        raise NotFound("position")
    try:
        return sales.sell(
            position_id=position_id,
            wanted=sales.Wanted(),
            purpose=Purpose.SIGNAL,
            key_text=f"sell:{agent_id}:{signal.id}",
            signal_id=signal.id,
        )
    except NotFound:
        raise _closed() from None
    except Refusal as refusal:
        if is_patient and refusal.code == "SALE_IN_PROGRESS" and _is_passing(position_id):
            return None
        raise


def _closed() -> Refusal:
    return Refusal("POSITION_CLOSED", "Another sale closed the position.")


def _meant(signal: SellSignal, agent_id: UUID) -> QuerySet[Position]:
    """The agent's positions in the token, open and closed, but those bought after the signal."""
    of_signal = Q(signal_id__gt=signal.id)
    of_person = Q(signal_id=None, created_at__gt=signal.received_at)
    later = Order.objects.filter(of_signal | of_person, id=OuterRef("opened_by_id"))
    return Position.objects.filter(~Exists(later), agent_id=agent_id, token_id=signal.mint)


def _entry(signal: SellSignal, agent_id: UUID) -> Order | None:
    """An entry of the agent in the token that is on its way and came before the signal."""
    before = Q(signal_id__lt=signal.id) | Q(signal_id=None, created_at__lte=signal.received_at)
    entries = Order.objects.filter(before, agent_id=agent_id, token_id=signal.mint, purpose=Purpose.ENTRY)
    return entries.filter(state__in=OPEN_STATES).first()


def _await_entry(entry: Order, signal: SellSignal) -> None:
    """Wait for an entry; one that nobody submits is cancelled, of one that never comes to its end the verdict tells.

    Raises Refusal ORDER_IN_PROGRESS.
    """
    now = clock.now()
    if patience.is_waited_for(entry, at=now):
        return
    locks.wallet(entry.wallet_id)
    locks.orders([entry.id])
    entry.refresh_from_db()
    if entry.state not in OPEN_STATES or patience.is_waited_for(entry, at=now):
        return
    if patience.is_submitted(entry):
        raise Refusal("ORDER_IN_PROGRESS", "A buy is on its way and nobody knows whether it lands.")
    detail = {"message": "A sell signal came before anything was bought.", "signalId": signal.id}
    orders.end(entry, State.CANCELLED, code="SUPERSEDED", at=now, detail=detail)
    wallets.release([entry.id])
    events.append([live.order_event(entry, at=now)])


def _is_passing(position_id: UUID) -> bool:
    """Whether what keeps the position from being sold ends soon, so that the sale is tried again. Looked at under the
    position's lock, which went with the refused sale.
    """
    locks.positions([position_id])
    sale = Order.objects.filter(position_id=position_id, side=Side.SELL, state__in=OPEN_STATES).first()
    if sale is not None:
        return not patience.closes_surely(sale) and patience.is_waited_for(sale, at=clock.now())
    is_empty = Position.objects.filter(id=position_id, closed_at=None, remaining_units=0)
    return not is_empty.exists()  # an empty one waits for a buy, which the same exit sells
