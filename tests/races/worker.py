"""`python -m tests.races.worker WORDS...`: a process of the product whose wire takes its time to land, so that the next
tick, a close and a sell signal meet orders that are on their way.

`CRASH_CONTROL=1` makes it one of the negative control: see `control.py`.
"""

import os
import sys
from dataclasses import replace

from tests.crash import worker
from tests.crash.venue import PROFILE, WireVenue
from tests.races.control import take_guards_away
from trading.rules.market import Quote
from trading.venues import registry
from trading.venues.protocol import Request

LANDS_MS = (50, 1_650)


class LingeringVenue(WireVenue):
    """An order lands after a time of its own, known from its id."""

    def quote(self, request: Request) -> Quote:
        first, last = LANDS_MS
        return replace(super().quote(request), delay_ms=first + request.order_id.int % (last - first))


def main(words: list[str]) -> None:
    worker.know_venues()
    registry.register(PROFILE, LingeringVenue(os.environ["CRASH_VENUE_URL"]))
    worker.run(words, control=take_guards_away)


if __name__ == "__main__":
    main(sys.argv[1:])
