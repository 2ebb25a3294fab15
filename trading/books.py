"""The books: whether every invariant of the ledger holds, and what the ledger amounts to.

Equity of a wallet = its SOL + its rent deposits + the value of its open positions. External flows (deposits,
withdrawals, adjustments) are excluded from profit:

    realised + unrealised = equity - (deposits - withdrawals + adjustments)

With positions valued at cost nothing is unrealised, so own SOL + rent + cost of open positions - flows = realised, to
the lamport and per wallet. A price adds the same amount, value - cost, to both sides.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from nexgent.money import SOL_MINT, value_lamports
from trading.invariants import INVARIANTS, Invariant

PROBLEMS_MAX = 20
"""Reported per invariant; the rest is counted."""
_TIMEOUT_MS = 600_000


@dataclass(frozen=True, slots=True)
class Problem:
    """What breaks an invariant, and how many more break the same one."""

    invariant: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class BooksReport:
    """`figures` in lamports, over all wallets; `problems` is empty when the books balance."""

    balanced: bool
    entries: int
    problems: tuple[Problem, ...]
    figures: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        problems = [{"invariant": p.invariant, "subject": p.subject, "detail": p.detail} for p in self.problems]
        return {"balanced": self.balanced, "entries": self.entries, "problems": problems, "figures": self.figures}


def check(*, deep: bool = True, prices: Mapping[str, Decimal] | None = None) -> BooksReport:
    """Check every invariant on one snapshot; `deep=False` leaves out those that read all postings and fills.

    `prices` (mint → SOL per whole token) value the open positions in the figures; without one they stand at cost.
    """
    with _snapshot():
        problems = tuple(p for invariant in INVARIANTS if deep or not invariant.deep for p in _broken(invariant))
        figures = _figures(prices or {})
        return BooksReport(not problems, figures.pop("entries"), problems, figures)


@contextmanager
def _snapshot() -> Iterator[None]:
    """All statements see one moment, so that a running engine does not look like a broken ledger."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(_TIMEOUT_MS)])
        yield


def _broken(invariant: Invariant) -> Iterator[Problem]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT subject::text, detail, count(*) OVER () FROM ({invariant.sql}) AS broken LIMIT {PROBLEMS_MAX}",  # noqa: S608
            {"sol": SOL_MINT},
        )
        found = cursor.fetchall()
    yield from (Problem(invariant.name, subject, detail) for subject, detail, _ in found)
    if found and found[0][2] > PROBLEMS_MAX:
        yield Problem(invariant.name, "", f"and {found[0][2] - PROBLEMS_MAX} more")


_ACCOUNTS = """
SELECT kind, sum(balance), sum(held) FROM wallets_account WHERE asset = %s GROUP BY kind
"""
_POSITIONS = """
SELECT mint, decimals, remaining_units, cost_lamports FROM trading_position WHERE closed_at IS NULL
"""
_TOTALS = """
SELECT (SELECT count(*) FROM wallets_entry), (SELECT count(*) FROM wallets_wallet),
       (SELECT coalesce(sum(realised_lamports), 0) FROM trading_position)
"""


def _figures(prices: Mapping[str, Decimal]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNTS, [SOL_MINT])
        accounts = {kind: (int(balance), int(held)) for kind, balance, held in cursor.fetchall()}
        cursor.execute(_POSITIONS)
        positions = cursor.fetchall()
        cursor.execute(_TOTALS)
        entries, wallets, realised = (int(total) for total in cursor.fetchone())
    cost = sum(int(row[3]) for row in positions)
    value = sum(
        value_lamports(int(units), prices[mint], decimals) if mint in prices else int(position_cost)
        for mint, decimals, units, position_cost in positions
    )
    sol, held = accounts.get("own", (0, 0))
    rent, fees = accounts.get("rent", (0, 0))[0], accounts.get("fees", (0, 0))[0]
    return {
        "entries": entries,
        "wallets": wallets,
        "openPositions": len(positions),
        "flowsLamports": -accounts.get("external", (0, 0))[0] - accounts.get("adjustment", (0, 0))[0],
        "solLamports": sol,
        "heldLamports": held,
        "rentLamports": rent,
        "feesLamports": fees,
        "positionsLamports": value,
        "equityLamports": sol + rent + value,
        "realisedLamports": realised,
        "unrealisedLamports": value - cost,
    }
