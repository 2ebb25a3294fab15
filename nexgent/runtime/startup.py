"""The memory of a process of ours from its first line on.

No garbage collection while modules are loaded: a quarter of a start's processor time, and nothing to find. What was
loaded is then kept out of every later collection (`gc.freeze`), so that those are short too. And few heaps: glibc gives
threads heaps of their own, up to eight per core, in which what is free serves nobody else; a process with many threads
grows for hours.
"""

import ctypes
import gc
from contextlib import suppress

from nexgent.runtime.processes import kind_of

HEAPS_MAX = 2
_M_ARENA_MAX = -8  # malloc.h of glibc


def begin(words: list[str]) -> None:
    """Stop collecting in a process of ours, known by its command line; other commands are left alone.

    Once only: a process that has started may import a module that calls this (a web process does with its first bell).
    """
    if kind_of(words) != "command" and not gc.get_freeze_count():
        gc.disable()
        with suppress(OSError, AttributeError):  # another libc
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, HEAPS_MAX)


def end() -> None:
    """Everything is loaded: collect again from here on."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
