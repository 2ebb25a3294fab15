"""Named points of the trade path at which `make crash` kills the process, to prove that a death there costs nothing.

`NEXGENT_CRASH_POINT=name` (or `name:nth`) names one; without it `reach` is a comparison with an empty string.
"""

import os
import signal
import threading

_wanted, _, _nth = os.environ.get("NEXGENT_CRASH_POINT", "").partition(":")
_left = int(_nth or 1)
_lock = threading.Lock()


def reach(name: str) -> None:
    """Die here by SIGKILL when this is the n-th time that the point named in the environment is reached."""
    if name != _wanted:
        return
    global _left
    with _lock:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
