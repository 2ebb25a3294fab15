"""`python -m tests.independence.worker WORDS...`: a worker of the product with a limit made short, or without a guard.

`EXIT_MAX_AGE_SECONDS` is how old a price may be that an exit rests on. `INDEPENDENCE_CONTROL` names guards to take
away, with which the judgement of the same case must find something.
"""

import os
import sys
from collections.abc import Callable
from datetime import timedelta


def one_call_at_a_time() -> None:
    """A venue that is called has room for nobody else."""
    from trading.engine import calls

    calls.CALLS_PER_VENUE_MAX = 1


def every_price_counts() -> None:
    """No jump waits for a second word."""
    from datetime import datetime

    from prices.feeds.confirmation import Confirmation
    from prices.records import PriceTick

    def counts(self: Confirmation, tick: PriceTick, now: datetime) -> bool:
        return self._believe(tick)

    Confirmation._counts = counts  # type: ignore[method-assign]


def prices_never_age() -> None:
    """Whatever a feed said last is good enough."""
    _age(timedelta(days=1))


def no_timers() -> None:
    """Nobody looks by himself: without a bell nothing is drained."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexgent.settings")
    django.setup()
    from trading.engine import drains

    drains.SILENCE_SECONDS = 3600.0


CONTROLS: dict[str, Callable[[], None]] = {
    control.__name__: control for control in (one_call_at_a_time, every_price_counts, prices_never_age, no_timers)
}


def _age(most: timedelta) -> None:
    """Doubt keeps its own limit: with a short one there would soon be nothing to jump from."""
    from prices import records
    from prices.feeds import confirmation

    kept = confirmation.EXIT_MAX_AGE
    records.EXIT_MAX_AGE = most
    assert kept == timedelta(seconds=30)


def main(words: list[str]) -> None:
    if seconds := os.environ.get("EXIT_MAX_AGE_SECONDS"):
        _age(timedelta(seconds=float(seconds)))
    for name in os.environ.get("INDEPENDENCE_CONTROL", "").split():
        CONTROLS[name]()
    from tests.crash import worker  # it reads the limits

    worker.main(words)


if __name__ == "__main__":
    main(sys.argv[1:])
