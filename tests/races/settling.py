"""The end of a round: everything final, and after one more fall of every token everything sold."""

import time
from collections.abc import Sequence

from tests.crash.proof import SETTLE_SECONDS
from tests.crash.world import query
from tests.races.arena import Arena
from tests.races.findings import Findings, rows

_OPEN = """
SELECT 'order ' || id || ', purpose ' || purpose || ', is in state ' || state FROM trading_order WHERE state < 3
UNION ALL SELECT 'signal ' || id || ' is not answered' FROM signals_signal WHERE drained_at IS NULL
UNION ALL SELECT 'position ' || id || ' (' || profile || ') is not sold' FROM trading_position
WHERE closed_at IS NULL AND mint = ANY(%(due)s::varchar[])
"""


class Settling:
    """Waits; what is open for more than half a minute is a finding."""

    def __init__(self, arena: Arena, findings: Findings) -> None:
        self.arena, self.findings = arena, findings
        self.slowest_seconds = 0.0

    def final(self, *, due: Sequence[str] = ()) -> None:
        """Until nothing is on its way, and nothing of the tokens that are `due` is held."""
        begun = time.monotonic()
        while left := query(lambda: rows(_OPEN, due=list(due))):
            if time.monotonic() - begun > SETTLE_SECONDS:
                self.findings.found["unanswered"] |= {row[0] for row in left}
                break
            time.sleep(0.1)
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begun)

    def sold(self, mints: Sequence[str]) -> None:
        """Let tokens fall so far that every stop in them is due, until all is sold."""
        self.arena.ended = set(mints)
        self.arena.fall()
        self.final(due=mints)
