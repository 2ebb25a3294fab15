"""The ledger entries that made a position what it is: the purchase, what DCA added, what the ladder sold.

On the wire these are `purchaseTransactionId`, `dcaTransactionIds` and `takeProfitTransactionIds`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection

from trading.models import Purpose

_PARTS = """
SELECT p.id, o.purpose, e.id, true FROM trading_position p
JOIN trading_order o ON o.id = p.opened_by_id JOIN wallets_entry e ON e.order_id = o.id WHERE p.id = ANY(%(ids)s)
UNION ALL
SELECT o.position_id, o.purpose, e.id, false FROM trading_order o JOIN wallets_entry e ON e.order_id = o.id
WHERE o.position_id = ANY(%(ids)s) AND o.purpose = ANY(%(purposes)s) ORDER BY 3
"""


@dataclass(slots=True)
class Parts:
    """Ids of entries, oldest first."""

    opened: UUID | None = None
    dca: list[UUID] = field(default_factory=list)
    ladder: list[UUID] = field(default_factory=list)


def parts_of(position_ids: Sequence[UUID]) -> defaultdict[UUID, Parts]:
    """The parts of each position; one query."""
    found: defaultdict[UUID, Parts] = defaultdict(Parts)
    if not position_ids:
        return found
    with connection.cursor() as cursor:
        cursor.execute(_PARTS, {"ids": list(position_ids), "purposes": [int(Purpose.DCA), int(Purpose.TAKE_PROFIT)]})
        for position_id, purpose, entry_id, is_opening in cursor.fetchall():
            parts = found[position_id]
            if is_opening:
                parts.opened = entry_id
            elif purpose == Purpose.DCA:
                parts.dca.append(entry_id)
            else:
                parts.ladder.append(entry_id)
    return found
