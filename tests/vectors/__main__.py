"""`python -m tests.vectors DIR`: every vector file of a directory against our code, one line per family."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.vectors.database import fresh_database
from tests.vectors.families import NEEDS_DATABASE, failures, files, load


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vectors", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--family", action="append", help="only this family (may be repeated)")
    parser.add_argument("--verbose", action="store_true", help="print every vector that differs")
    options = parser.parse_args(arguments)
    found = [(name, path) for name, path in files(options.directory) if not options.family or name in options.family]
    if not found:
        parser.error(f"no vector files in {options.directory}")
    is_good = True
    with ExitStack() as stack:
        if any(name in NEEDS_DATABASE for name, _ in found):
            stack.enter_context(fresh_database())
        for name, path in found:
            vectors = load(path)
            wrong = failures(name, vectors)
            is_good = is_good and not wrong
            print(f"{name}: {len(vectors) - len(wrong)} passed, {len(wrong)} failed", flush=True)
            if options.verbose:
                for line in wrong:
                    print(f"  {line}", flush=True)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
