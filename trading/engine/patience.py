"""How long a sell signal waits for an order that is on its way, and which of them it need not wait for.

What was not submitted can still be ended, by whoever holds its lock: a submission is conditional on the row. What was
submitted is on the wire and comes to its own end, an expired one a minute later.
"""

from datetime import datetime, timedelta

from trading.engine import succession
from trading.models import Order, State

UNSUBMITTED_WAITED = timedelta(seconds=30)
"""An order that nobody submitted for so long is ended for the signal."""
SUBMITTED_WAITED = timedelta(seconds=90)
"""One that expires is told after 60 s; what is unknown for longer than this may stay so."""


def is_submitted(order: Order) -> bool:
    return order.state == State.SUBMITTED


def is_waited_for(order: Order, *, at: datetime) -> bool:
    """Whether an open order is young enough to be waited for. Counted from its last submission, else from its plan, so
    that a signal that waited long itself does not give up at once.
    """
    if is_submitted(order):
        since = datetime.fromisoformat(order.stages.get("submitted") or order.created_at.isoformat())
        return at < since + SUBMITTED_WAITED
    return at < order.created_at + UNSUBMITTED_WAITED


def closes_surely(sale: Order) -> bool:
    """Whether an open sale sells everything whatever comes: it is tried again until it does, and no rule is asked."""
    is_asked = sale.purpose not in succession.BY_PERSON and sale.plan["part"] == 1
    return sale.plan["isFull"] and not is_asked and succession.is_stubborn(sale)


def gives_way(sale: Order, *, at: datetime) -> bool:
    """Whether an open sale is ended for a signal that closes the position: it was not submitted, and is a rule's sale
    of a part, or has waited too long.
    """
    if is_submitted(sale) or closes_surely(sale):
        return False
    is_part_of_rule = sale.purpose not in succession.BY_PERSON and not sale.plan["isFull"]
    return is_part_of_rule or not is_waited_for(sale, at=at)
