"""The feeds' part of the health answer: which of them answers, and how long ago it last did.

Read from the running feeds' own word in Valkey (`Station`, every two seconds): one look, whatever is being traded. A
word that has grown old is no word: whoever told it is gone.
"""

from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings

from nexgent import clock
from prices import cache
from prices.poller import DOWN
from prices.records import EXIT_MAX_AGE

HEALTHY, DEGRADED = "healthy", "degraded"
WORD_MAX_AGE = timedelta(seconds=10)
"""Five times the pace at which the running feeds tell how they do."""
UNKNOWN = "unknown"


def report() -> dict[str, Any]:
    """Status, and per feed of PRICE_FEEDS its state and the age of its last answer (s).

    Degraded when the preferred feed is down, or nobody tells how the feeds do. "down" names those that are: three
    failures in a row, or, of the preferred one, which each round asks, no answer for as long as a price lasts.
    """
    now = clock.now()
    said = _said(now)
    since = None if said is None else datetime.fromisoformat(said["since"])
    known = {} if said is None else {feed["name"]: feed for feed in said["feeds"]}
    feeds = [
        _feed(name, known.get(name), now=now, asked_since=since if place == 0 else None)
        for place, name in enumerate(settings.PRICE_FEEDS)
    ]
    is_degraded = bool(feeds) and feeds[0]["state"] in {DOWN, UNKNOWN}
    return {
        "status": DEGRADED if is_degraded else HEALTHY,
        "down": [feed["name"] for feed in feeds if feed["state"] == DOWN],
        "feeds": feeds,
    }


def _said(now: datetime) -> dict[str, Any] | None:
    """What the running feeds told last; None when that is too long ago."""
    raw: bytes | None = cache.valkey().call(lambda client: client.get(cache.FEEDS), otherwise=None)
    said: dict[str, Any] | None = orjson.loads(raw) if raw else None
    return said if said is not None and now - datetime.fromisoformat(said["at"]) <= WORD_MAX_AGE else None


def _feed(name: str, told: dict[str, Any] | None, *, now: datetime, asked_since: datetime | None) -> dict[str, Any]:
    if told is None:
        return {"name": name, "state": UNKNOWN, "ageSeconds": None}
    answered = told["lastSuccessAt"] and datetime.fromisoformat(told["lastSuccessAt"])
    silent_since = answered or asked_since
    is_silent = asked_since is not None and silent_since is not None and now - silent_since > EXIT_MAX_AGE
    age = None if not answered else round(max(0.0, (now - answered).total_seconds()), 1)
    return {"name": name, "state": DOWN if is_silent else told["state"], "ageSeconds": age}
