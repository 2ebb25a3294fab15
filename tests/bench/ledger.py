"""Ledger entries a second through `wallets.services.post`: swaps of four lines, 25 wallets a transaction as entries
post them, and one at a time, as exits do.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import connection, transaction

from agents.models import Assignment
from nexgent import clock
from nexgent.money import SOL_MINT
from tests.bench import fleet
from tests.bench.figures import Report
from trading import books
from wallets import services as wallets
from wallets.models import AccountKind, EntryKind

WALLETS = 100
CHUNK = 25
SECONDS = 5.0


def run(report: Report, scale: float) -> None:
    fleet.agents(fleet.owner(), WALLETS)
    owned = sorted(Assignment.objects.values_list("wallet_id", flat=True))
    mints = fleet.tokens(20)
    chunks = [owned[start : start + CHUNK] for start in range(0, WALLETS, CHUNK)]
    singles = [[wallet_id] for wallet_id in owned]
    seconds = max(1.0, SECONDS * scale)
    _posting(chunks[:1], mints, 0.5)
    report.note_load()
    for threads in (1, 3):
        report.tell(
            f"entries a second, chunks of {CHUNK}, {threads} thread(s)",
            _many(chunks, mints, seconds, threads),
            "/s",
            ">= 3000",
        )
    report.tell("entries a second, one at a time, 4 threads", _many(singles, mints, seconds, 4), "/s")
    unbalanced = [problem for problem in books.check().problems if "fill" not in problem.invariant]
    report.tell("unbalanced", sum(problem.invariant in ("entry_balanced", "account_sum") for problem in unbalanced))


def _many(chunks: list[list[UUID]], mints: list[str], seconds: float, threads: int) -> float:
    parts = [chunks[start::threads] for start in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda part: _posting(part, mints, seconds), parts))


def _posting(chunks: list[list[UUID]], mints: list[str], seconds: float) -> float:
    """Entries a second of one thread."""
    done, begun = 0, time.perf_counter()
    try:
        while (passed := time.perf_counter() - begun) < seconds:
            chunk, mint = chunks[done % len(chunks)], mints[done % len(mints)]
            with transaction.atomic():
                wallets.lock(chunk)
                wallets.post([_swap(wallet_id, mint) for wallet_id in chunk])
            done += 1
    finally:
        connection.close()
    return done * len(chunks[0]) / passed


def _swap(wallet_id: UUID, mint: str) -> wallets.Draft:
    lines = (
        wallets.Line(SOL_MINT, AccountKind.OWN, -10_000),
        wallets.Line(SOL_MINT, AccountKind.MARKET, 10_000),
        wallets.Line(mint, AccountKind.OWN, 777),
        wallets.Line(mint, AccountKind.MARKET, -777),
    )
    return wallets.Draft(wallet_id=wallet_id, kind=EntryKind.SWAP, at=clock.now(), lines=lines)
