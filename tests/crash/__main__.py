"""`python -m tests.crash --n 300 --seed 1`: kill -9 everything, at named points and at random times, and prove that
nothing is lost, doubled, left unfinished or unwatched. The last line holds the figures; exit 1 unless all are zero.
"""

import argparse
import os
import sys

from tests.crash.system import System


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--n", type=int, default=300, help="kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one process of each kind, no order that expires")
    parser.add_argument("--control", action="store_true", help="take the commit of the intent away: must find losses")
    wanted = parser.parse_args()
    system = System(is_quick=wanted.quick, is_control=wanted.control)
    for name in [name for name in os.environ if name.startswith(("NEXGENT_", "PYTEST"))]:
        del os.environ[name]
    try:
        system.prepare()
        import django

        django.setup()
        from tests.crash.run import Run

        return Run(system, kills=wanted.n, seed=wanted.seed).go()
    finally:
        system.stop()


if __name__ == "__main__":
    sys.exit(main())
