"""`python -m tests.openapi.fuzz --cases 5000 --seed 1`: the whole fuzz on servers of its own, figures last."""

import argparse
import os
import subprocess
import sys


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    environment = os.environ | {"FUZZ_CASES": str(wanted.cases), "FUZZ_SEED": str(wanted.seed)}
    words = [sys.executable, "-m", "pytest", "tests/openapi/test_fuzz.py", "-p", "no:cacheprovider"]
    return subprocess.run(words, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
