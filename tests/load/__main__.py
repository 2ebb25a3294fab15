"""`python -m tests.load [PART...]`: load on sockets and API of one real web process, on fresh servers of its own.

`cycles`: clients that come and go leave nothing behind. `stalled`: clients that do not read cost little. `http`: what a
list costs beside an endpoint that does nothing. The last line holds the figures; exit 1 when a bound was missed.
"""

import argparse
import os
import subprocess
import sys
from importlib import import_module

from tests.bench.figures import ROOT, Report, machine, say

PARTS = ("cycles", "stalled", "http")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--cycles", type=int, default=2_000, help="connects and disconnects")
    parser.add_argument("--clients", type=int, default=50, help="that do not read")
    parser.add_argument("--seconds", type=float, default=300, help="for so long")
    parser.add_argument("--requests", type=int, default=600, help="per route")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if unknown := set(wanted.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if not wanted.inside:
        say(machine())
        return _outside()
    os.environ.pop("NEXGENT_CLOCK", None)
    os.environ |= {"NEXGENT_PROCESS": "prices", "LOG_LEVEL": "WARNING", "PRICES_WRITER": "inline"}
    import django

    django.setup()
    from tests.bench.clients import raise_file_limit

    raise_file_limit()
    report = Report("load")
    for part in wanted.parts or PARTS:
        import_module(f"tests.load.{part}").run(report, wanted)
        report.note_load()
    return report.end()


def _outside() -> int:
    """The same words on servers of its own, whose commits wait for the disk."""
    ours = ("DATABASE_URL", "REDIS_URL", "NEXGENT_", "DJANGO_", "PYTEST")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    inner = [sys.executable, "-m", "tests.load", "--inside", *sys.argv[1:]]
    command = [sys.executable, "-m", "nexgent.runtime.scratch", "--durable", *inner]
    return subprocess.run(command, cwd=ROOT, env=clean, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
