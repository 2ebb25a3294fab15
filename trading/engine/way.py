"""Way for exits: when a crowd of them begins, entries hold off for a moment.

PostgreSQL knows no priorities, so whoever can wait must not ask. The price engine says how many exits it has planned;
an entries process hears it and begins no transaction of entries for as long as those exits need, never more than half
of the time. A hint like every message: lost, it costs some milliseconds.
"""

import threading
import time

from django.db import connection

from nexgent.events import bell, listener

CHANNEL = "nexgent:exits"
CROWD = 10
"""Fewer exits at once are no reason to wait."""
SECONDS_PER_EXIT = 0.003
HOLD_SECONDS_MAX = 0.4

_changing = threading.Lock()
_until = _free_until = 0.0


def ask(exits: int) -> None:
    """Say, after the commit, that so many exits begin."""
    if exits >= CROWD:
        bell.publish(CHANNEL, str(exits).encode())


def hear(exits: int) -> None:
    """Hold entries of this process off for as long as so many exits need; then they have as long for themselves."""
    global _until, _free_until
    seconds, now = min(HOLD_SECONDS_MAX, exits * SECONDS_PER_EXIT), time.monotonic()
    with _changing:
        if now >= _free_until:
            _until, _free_until = now + seconds, now + 2 * seconds


def give() -> None:
    """Wait while exits begin. Outside a transaction only: a waiting one would hold what exits need."""
    if (seconds := _until - time.monotonic()) > 0 and not connection.in_atomic_block:
        time.sleep(seconds)


def listen() -> None:
    """Hear of exits from now on, in a thread of its own."""
    threading.Thread(target=_listen, name="way-for-exits", daemon=True).start()


def _listen() -> None:
    listener.listen(CHANNEL, lambda message: hear(int(message)), stop=threading.Event())
