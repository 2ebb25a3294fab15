"""`python -m tests.crash.worker WORDS...`: a process of the product, with the test's venue known as a profile.

`CRASH_CONTROL` names the negative control whose process this is (`control.py`): the proof must then find something.
"""

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

from tests.crash.control import OF_WEBS, OF_WORKERS
from tests.crash.venue import PROFILE, SLOW, SlowVenue, WireVenue
from trading.venues import registry


def know_venues() -> None:
    """Register the test's venues that the environment names."""
    if url := os.environ.get("CRASH_VENUE_URL"):
        registry.register(PROFILE, WireVenue(url))  # type: ignore[arg-type]
    if journal := os.environ.get("SLOW_VENUE_JOURNAL"):
        hanging = float(os.environ.get("SLOW_VENUE_HANGING_SECONDS", "0"))
        slow = SlowVenue(Path(journal), seconds=float(os.environ["SLOW_VENUE_SECONDS"]), hanging_seconds=hanging)
        registry.register(SLOW, slow)  # type: ignore[arg-type]


def run(words: list[str], *, control: Callable[[], None] | None, web_control: Callable[[], None] | None = None) -> None:
    """Be the web process or the worker that the words name; with `CRASH_CONTROL` without the guard of its kind."""
    is_web = words[0] == "web"
    wanted = web_control if is_web else control
    if os.environ.get("CRASH_CONTROL") and wanted is not None:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
        django.setup()
        wanted()
    if is_web:
        sys.argv = ["manage.py", "web"]
        runpy.run_path("manage.py", run_name="__main__")
        return
    sys.argv = ["celery", *words]
    from celery.__main__ import main as celery

    celery()


def main(words: list[str]) -> None:
    know_venues()
    name = os.environ.get("CRASH_CONTROL", "")
    run(words, control=OF_WORKERS.get(name), web_control=OF_WEBS.get(name))


if __name__ == "__main__":
    main(sys.argv[1:])
