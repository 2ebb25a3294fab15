"""`python -m tests.independence`: nobody waits for somebody else, in full size against the goals.

Runs the cases of the suite with `INDEPENDENCE=full`, prints the figures of each and one line last; exit 1 when a goal
is missed, a case fails, or a control finds nothing. Words behind it go to pytest (`-k hanging`).
"""

import os
import platform
import subprocess
import sys

import pytest

CASES = (
    "tests/integration/test_races_independence.py",
    "tests/integration/test_races_feed.py",
    "tests/integration/test_races_processes.py",
    "tests/integration/test_takeover.py",
    "tests/outages",
    "tests/integration/test_prices_doubt.py",
    "tests/integration/test_prices_budget.py",
    "tests/integration/test_engine_sets.py",
    "tests/unit/test_calls.py",
)


def main(words: list[str]) -> int:
    os.environ["INDEPENDENCE"] = "full"
    from tests.independence.scale import NOTES

    code = int(pytest.main(["-p", "no:cacheprovider", *CASES, *words]))
    width = max((len(figure.name) for note in NOTES for figure in note.figures), default=0)
    print()
    for note in NOTES:
        print(f"{note.case}  [load {note.load:.1f}]")
        for figure in note.figures:
            verdict = "met" if figure.is_met else "MISSED"
            print(f"  {figure.name:<{width}}  {figure.found:8.3f} s   at most {figure.most:<5g} {verdict}")
        if note.words:
            print(f"  {note.words}")
    missed = sum(not figure.is_met for note in NOTES for figure in note.figures)
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout
    figures = sum(len(note.figures) for note in NOTES)
    print(f"\nindependence: commit={told.strip()} cores={os.cpu_count()} python={platform.python_version()}", end=" ")
    print(f"figures={figures} missed={missed} {'ok' if code == 0 else 'FAILED'}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
