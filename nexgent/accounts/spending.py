"""The spend limit of keys: SOL per UTC day over all entries that a key's signals lead to, whatever agents act on them.

Counted where the money is held, in the transaction of the orders, under the lock of the key's row of the day: entries
on two signals at once cannot both take the last SOL. Keys without a limit are never asked about.
"""

from collections.abc import Collection, Iterable
from datetime import date
from uuid import UUID

from django.db import connection

from nexgent import clock
from nexgent.accounts.models import ApiKey
from nexgent.errors import Refusal
from nexgent.money import sol, text

_OPEN = """
INSERT INTO accounts_keyspend (key_id, day, lamports) SELECT id, %(day)s, 0 FROM unnest(%(keys)s::uuid[]) AS id
ORDER BY id ON CONFLICT DO NOTHING
"""
_LOCK = """
SELECT s.key_id FROM accounts_keyspend s WHERE s.key_id = ANY(%(keys)s) AND s.day = %(day)s ORDER BY s.key_id
FOR NO KEY UPDATE
"""
# A statement of its own: one that waited for the lock sees other tables, and so the limit, as they were before.
_LEFT = """
SELECT k.id, k.spend_limit_lamports, s.lamports FROM accounts_apikey k
JOIN accounts_keyspend s ON s.key_id = k.id AND s.day = %(day)s WHERE k.id = ANY(%(keys)s)
"""
_SPEND = "UPDATE accounts_keyspend SET lamports = lamports + %s WHERE key_id = %s AND day = %s"


def limited(key_ids: Iterable[UUID | None]) -> frozenset[UUID]:
    """Those of the keys that have a spend limit; one query, none when there is no key."""
    asked = {key_id for key_id in key_ids if key_id is not None}
    if not asked:
        return frozenset()
    found = ApiKey.objects.filter(id__in=asked, spend_limit_lamports__isnull=False)
    return frozenset(found.values_list("id", flat=True))


class Purses:
    """What limited keys may still spend today, locked for the rest of the transaction; costs nothing without any."""

    def __init__(self, key_ids: Iterable[UUID | None]) -> None:
        self._keys: Collection[UUID] = sorted({key_id for key_id in key_ids if key_id is not None})
        self._day: date = clock.now().date()
        self._left: dict[UUID, tuple[int, int]] = {}
        self._taken: dict[UUID, int] = {}
        if self._keys:
            self._open()

    def _open(self) -> None:
        values = {"keys": list(self._keys), "day": self._day}
        with connection.cursor() as cursor:
            cursor.execute(_OPEN, values)
            cursor.execute(_LOCK, values)
            cursor.execute(_LEFT, values)
            self._left = {
                key_id: (int(limit), int(spent)) for key_id, limit, spent in cursor.fetchall() if limit is not None
            }

    def take(self, key_id: UUID | None, lamports: int) -> None:
        """Count an entry. Raises `Refusal` KEY_SPEND_LIMIT when the day's limit does not allow it."""
        if key_id is None or key_id not in self._left:
            return
        limit, spent = self._left[key_id]
        taken = self._taken.get(key_id, 0)
        if spent + taken + lamports > limit:
            raise Refusal("KEY_SPEND_LIMIT", f"The key may spend {text(sol(limit))} SOL a day.")
        self._taken[key_id] = taken + lamports

    def close(self) -> None:
        """Write down what was taken, in the caller's transaction."""
        with connection.cursor() as cursor:
            for key_id, lamports in sorted(self._taken.items()):
                cursor.execute(_SPEND, [lamports, key_id, self._day])
