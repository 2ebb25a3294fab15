"""What wallets hold, now or at any time before."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from nexgent.money import SOL_MINT
from wallets.models import Wallet


@dataclass(frozen=True, slots=True)
class Balance:
    """What a wallet holds of one asset, in base units; `free` = units - held."""

    units: int
    held: int
    free: int


_EMPTY = Balance(0, 0, 0)


@functools.lru_cache(maxsize=100_000)
def address_of(wallet_id: UUID) -> str:
    """The address of a wallet; it never changes, so each process asks once."""
    return str(Wallet.objects.values_list("address", flat=True).get(id=wallet_id))


def balances(wallet_id: UUID, *, at: datetime | None = None) -> dict[str, Balance]:
    """What the wallet holds per asset, zero balances left out.

    With `at`: the sum of the postings of all entries up to that time; holds are not history and count as 0.
    """
    if at is not None:
        return {asset: Balance(units, 0, units) for asset, units in _units_at(wallet_id, at)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT asset, balance, held FROM wallets_account WHERE wallet_id = %s AND kind = 'own' AND balance <> 0",
            [wallet_id],
        )
        return {asset: _balance(units, held) for asset, units, held in cursor.fetchall()}


def sol_balances(wallet_ids: Sequence[UUID]) -> dict[UUID, Balance]:
    """SOL of each wallet in lamports; a wallet that never had any holds 0."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT wallet_id, balance, held FROM wallets_account"
            " WHERE wallet_id = ANY(%s) AND asset = %s AND kind = 'own'",
            [list(wallet_ids), SOL_MINT],
        )
        found = {wallet_id: _balance(units, held) for wallet_id, units, held in cursor.fetchall()}
    return {wallet_id: found.get(wallet_id, _EMPTY) for wallet_id in wallet_ids}


def _units_at(wallet_id: UUID, at: datetime) -> list[tuple[str, int]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT posting.asset, sum(posting.amount) FROM wallets_posting AS posting"
            " JOIN wallets_entry AS entry ON entry.id = posting.entry_id"
            " WHERE posting.wallet_id = %s AND posting.kind = 'own' AND entry.at <= %s"
            " GROUP BY posting.asset HAVING sum(posting.amount) <> 0",
            [wallet_id, at],
        )
        return [(asset, int(units)) for asset, units in cursor.fetchall()]


def _balance(units: int, held: int) -> Balance:
    return Balance(int(units), int(held), int(units) - int(held))
