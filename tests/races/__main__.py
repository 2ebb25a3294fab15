"""`python -m tests.races --n 20 --seed 1`: signals, moves of the market and people's closes at the same moment, through
two web processes, against two workers of each kind and two prices processes. The last line holds the figures; exit 1
unless nothing was bought, spent or sold twice, left over, unanswered or out of balance.
"""

import argparse
import os
import sys

from tests.crash.system import System


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.races", description=__doc__)
    parser.add_argument("--n", type=int, default=20, help="rounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="fewer signals, agents and tokens a round")
    parser.add_argument("--control", action="store_true", help="take the guards away: must find something")
    wanted = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("NEXGENT_", "PYTEST"))]:
        del os.environ[name]
    system = System(is_control=wanted.control, webs=2, program="tests.races.worker")
    try:
        system.prepare()
        import django

        django.setup()
        from tests.races.run import FULL, QUICK, Run

        return Run(system, rounds=wanted.n, seed=wanted.seed, sizes=QUICK if wanted.quick else FULL).go()
    finally:
        system.stop()


if __name__ == "__main__":
    sys.exit(main())
