"""`python -m tests.crash.worker WORDS...`: a process of the product, with the test's venue known as a profile.

`CRASH_CONTROL=1` takes the commit of the intent away: the venue is called while the order's row does not say so yet.
The proof must then find losses.
"""

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

from tests.crash.venue import PROFILE, SLOW, SlowVenue, WireVenue
from trading.venues import registry


def act_before_commit() -> None:
    """The negative control: `submitted` stands in memory only when the venue is called."""
    from datetime import timedelta
    from typing import Any

    from nexgent import clock
    from trading.engine import executor
    from trading.models import State

    def submitted_in_memory(works: Any, owner: Any) -> Any:
        for work in works:
            work.order.state = State.SUBMITTED
            work.order.lands_at = clock.now() + timedelta(milliseconds=work.quote.delay_ms)
        return list(works)

    executor.submitted = submitted_in_memory  # type: ignore[assignment]


def know_venues() -> None:
    """Register the test's venues that the environment names."""
    if url := os.environ.get("CRASH_VENUE_URL"):
        registry.register(PROFILE, WireVenue(url))  # type: ignore[arg-type]
    if journal := os.environ.get("SLOW_VENUE_JOURNAL"):
        hanging = float(os.environ.get("SLOW_VENUE_HANGING_SECONDS", "0"))
        slow = SlowVenue(Path(journal), seconds=float(os.environ["SLOW_VENUE_SECONDS"]), hanging_seconds=hanging)
        registry.register(SLOW, slow)  # type: ignore[arg-type]


def run(words: list[str], *, control: Callable[[], None]) -> None:
    """Be the web process or the worker that the words name; with `CRASH_CONTROL=1` a worker without its guard."""
    if words[0] == "web":
        sys.argv = ["manage.py", "web"]
        runpy.run_path("manage.py", run_name="__main__")
        return
    sys.argv = ["celery", *words]
    if os.environ.get("CRASH_CONTROL") == "1":
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
        django.setup()
        control()
    from celery.__main__ import main as celery

    celery()


def main(words: list[str]) -> None:
    know_venues()
    run(words, control=act_before_commit)


if __name__ == "__main__":
    main(sys.argv[1:])
