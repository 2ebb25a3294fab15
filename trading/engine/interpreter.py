"""How a worker process shares the machine and its interpreter: who goes first, and when garbage is looked for.

The threads that must not wait (the pass over prices, orders on their way out) are in `prices` and `exits`: there a
thread that computes gives way after a millisecond instead of five. `entries` and `default` work at a lower priority of
the operating system, so that a crowd of signals takes no processor from an exit. A loaded book is a million objects
that live for long: the collector is kept from walking over them in the midst of a pass. So is what was imported: a full
collection over all of it took a tenth of a second in the midst of a signal, and is left a few milliseconds.
"""

import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SWITCH_SECONDS = 0.001
PATIENT = frozenset({"entries", "default"})
URGENT = frozenset({"prices", "exits"})
NICE = 5
COLLECT_AFTER = (10_000, 5, 4)
"""Collector thresholds of an urgent process: young objects are looked at a fourteenth as often, all that are not frozen
(some ten thousand, a few milliseconds) after 200,000 new ones."""
COLLECT_SECONDS = 30.0
COLLECT_SHARE_MAX = 0.001
"""An urgent process looks for garbage this often, and spends no more than this share of its time on it: what waits for
200,000 new objects lies about for a quarter of an hour, and memory that was needed once is not given back.
"""


def tune(kind: str) -> None:
    """Set this process up for its kind; call it once, when the worker is ready."""
    gc.collect()
    gc.freeze()
    if kind in URGENT:
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.set_threshold(*COLLECT_AFTER)
        threading.Thread(target=_collect_regularly, name="collector", daemon=True).start()
    if kind in PATIENT:
        lower_priority()


def lower_priority() -> None:
    """Work at a lower priority with all threads there are; those begun later take it over."""
    for thread in Path("/proc/self/task").glob("[0-9]*"):
        with suppress(ProcessLookupError):  # it ended meanwhile
            os.setpriority(os.PRIO_PROCESS, int(thread.name), NICE)
    if sys.platform != "linux":
        os.setpriority(os.PRIO_PROCESS, 0, NICE)


@contextmanager
def loading() -> Iterator[None]:
    """Make many objects that will live for long: no collection meanwhile, and none of them is looked at later."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def _collect_regularly() -> None:
    pause = COLLECT_SECONDS
    while True:
        time.sleep(pause)
        if gc.isenabled():  # else somebody is loading
            begun = time.perf_counter()
            gc.collect()
            pause = max(COLLECT_SECONDS, (time.perf_counter() - begun) / COLLECT_SHARE_MAX)
