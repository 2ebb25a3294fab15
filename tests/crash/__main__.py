"""`python -m tests.crash --n 300 --seed 1`: kill -9 everything, at named points and at random times, and prove that
nothing is lost, doubled, left unfinished or unwatched. The last line holds the figures; exit 1 unless all are zero.
"""

import argparse
import os
import sys

from tests.crash.control import NAMES
from tests.crash.system import System


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--n", type=int, default=300, help="kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one process of each kind, no order that expires")
    parser.add_argument(
        "--control", nargs="?", const=NAMES[0], choices=NAMES, help="take a commit away: must find something"
    )
    wanted = parser.parse_args()
    if wanted.control:  # what it does not need would only cost time
        system = System(is_quick=wanted.quick, is_control=True, control=wanted.control)
    else:
        system = System(is_quick=wanted.quick, webs=2, has_default=True)
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
