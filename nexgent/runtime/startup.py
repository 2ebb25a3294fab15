"""No garbage collection while a process loads its modules: a quarter of a start's processor time, and nothing to find.

What was loaded is then kept out of every later collection (`gc.freeze`), so that those are short too.
"""

import gc

from nexgent.runtime.processes import kind_of


def begin(words: list[str]) -> None:
    """Stop collecting in a process of ours, known by its command line; other commands are left alone.

    Once only: a process that has started may import a module that calls this (a web process does with its first bell).
    """
    if kind_of(words) != "command" and not gc.get_freeze_count():
        gc.disable()


def end() -> None:
    """Everything is loaded: collect again from here on."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
