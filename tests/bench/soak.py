"""`python -m tests.bench.soak --seconds N`: the whole product under steady load, looked at every minute.

50 agents on the realistic venue (delays, failures, expiries), 500 tokens of the made-up market at many times its speed,
real processes, signals over REST. At each look: do the books balance, how much memory has each process, how long are
the queues, how old is the oldest open order, how many connections and subscriptions are there. The last line holds the
figures; exit 1 when the books do not balance, a queue grows, there are too many connections, or (runs of ten minutes
and more) connections or subscriptions leak after minute 5, the memory of a process is not flat, or nothing trades any
more (`judging.py`). `--control` damages books, queues, connections, subscriptions and memory while the product runs
(`damage.py`); a short run judges the first two of these. Exit 1 when each damage was found, 2 when one was overlooked.
"""

import argparse
import os
import subprocess
import sys

from tests.bench.figures import ROOT, machine, say

SECONDS = 1800


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    parser.add_argument("--agents", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=500)
    parser.add_argument("--signals", type=float, default=1.0, help="a second")
    parser.add_argument("--steps", type=int, default=20, help="of the market a second; 0.2 is its speed in a demo")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", action="store_true", help="damage what is judged: the run must miss it")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if not wanted.inside:
        say(machine())
        return _outside()
    os.environ.pop("NEXGENT_CLOCK", None)
    os.environ |= {
        "LOG_LEVEL": "WARNING",
        "SOAK_TOKENS": str(wanted.tokens),
        "SOAK_STEPS": str(wanted.steps),
        "SYNTHETIC_SEED": str(wanted.seed),
    }
    import django

    django.setup()
    from tests.bench.soaking import Soak

    return Soak(
        seconds=wanted.seconds,
        agents=wanted.agents,
        tokens=wanted.tokens,
        signals_per_second=wanted.signals,
        seed=wanted.seed,
        is_control=wanted.control,
    ).run()


def _outside() -> int:
    """The same words on servers of its own."""
    ours = ("DATABASE_URL", "REDIS_URL", "NEXGENT_", "DJANGO_", "PYTEST")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    inner = [sys.executable, "-m", "tests.bench.soak", "--inside", *sys.argv[1:]]
    command = [sys.executable, "-m", "nexgent.runtime.scratch", "--durable", *inner]
    return subprocess.run(command, cwd=ROOT, env=clean, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
