"""What happens after a trade that did not go through: how long to wait, and which exits try again by themselves.

One place for the engine and for the replay through the rules alone, so that both wait and insist alike.
"""

from datetime import timedelta

RETRY_SECONDS_MAX = 30
DCA_POSTPONED = timedelta(seconds=60)
"""After a DCA that was refused or failed: none on this position for so long."""
STUBBORN = frozenset({"stop_loss", "signal", "tape_end"})
"""Exits that are planned again on the tick they were decided on: a later price never cancels a stop."""


def retry_after(failures: int) -> timedelta:
    """min(2^k, 30) s for k failures in a row."""
    return timedelta(seconds=min(2 ** min(failures, 10), RETRY_SECONDS_MAX))


def is_stubborn(rule: str, part: int) -> bool:
    """Whether a failed exit is planned again at once. Of a split exit a later part is, whatever the rule: no rule asks
    for the rest of it again.
    """
    return rule in STUBBORN or part > 1


def gives_way(rule: str) -> bool:
    """Whether a failed exit that waits to be tried again is ended for a stop that became due."""
    return rule != "stop_loss"
