"""The alarm of the request limiter: it lives below the alarms, so that somebody above has to speak for it."""

from nexgent import clock
from nexgent.events import alarms

CODE = "LIMITER_LOCAL"
SUBJECT = "valkey"


def tell(is_down: bool) -> None:
    """Raise or clear the alarm that limits count per process only."""
    if is_down:
        alarms.raise_alarm(CODE, subject=SUBJECT, detail={"effect": "request limits count per process"}, at=clock.now())
    else:
        alarms.clear(CODE, subject=SUBJECT, at=clock.now())
