"""An urgent process looks for garbage by the clock, and not while somebody loads; what was imported is left alone."""

import subprocess
import sys

SCRIPT = """
import gc, os, time, weakref
os.environ["NEXGENT_ENV"] = "test"
from trading.engine import interpreter

class Ring:
    def __init__(self):
        self.itself = self

def is_found(ring, seconds):
    end = time.monotonic() + seconds
    while ring() is not None and time.monotonic() < end:
        time.sleep(0.005)
    return ring() is None

interpreter.COLLECT_SECONDS = 0.02
gc.disable()
interpreter.tune({kind!r})
while_loading = is_found(weakref.ref(Ring()), 0.3)
gc.enable()
print(while_loading, is_found(weakref.ref(Ring()), {seconds}))
"""


def said(kind: str, *, seconds: float) -> list[str]:
    script = SCRIPT.format(kind=kind, seconds=seconds)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_garbage_of_an_urgent_process_is_found_by_the_clock_but_not_while_it_loads():
    assert said("exits", seconds=10) == ["False", "True"]


def test_another_process_leaves_it_to_the_number_of_objects():
    assert said("web", seconds=0.3) == ["False", "False"]


def test_no_collection_walks_over_what_was_imported():
    script = """
import gc, os
os.environ["NEXGENT_ENV"] = "test"
from trading.engine import interpreter
before = len(gc.get_objects())
interpreter.tune("entries")
print(gc.get_freeze_count() > before * 0.9, len(gc.get_objects()) < before * 0.1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True", "True"]
