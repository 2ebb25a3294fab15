"""Garbage is collected again once a process has started, whatever it imports later."""

import subprocess
import sys

SCRIPT = """
import gc, sys
from nexgent.runtime import startup
startup.begin(["manage.py", "web"])
loading = gc.isenabled()
startup.end()
startup.begin(["manage.py", "web"])
print(loading, gc.isenabled(), gc.get_freeze_count() > 1000)
"""


def test_a_late_import_does_not_switch_the_collection_off() -> None:
    # when a process begins, is loaded, and imports a module that begins again
    said = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    # then
    assert said == "False True True\n"
