"""The load proofs, small and seeded, with the real web process."""

import re
import subprocess
import sys

from tests.bench.figures import ROOT


def figures(*words: str) -> dict[str, str]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.load", *words], cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    last = run.stdout.splitlines()[-1] if run.stdout else ""
    assert last.startswith("load: "), run.stdout[-3000:] + run.stderr[-3000:]
    assert last.endswith("missed=-"), last
    assert run.returncode == 0
    return dict(re.findall(r"(\S+)=(\S+)", last))


def test_clients_that_come_and_go_leave_nothing_behind():
    found = figures("cycles", "--cycles", "120", "--seed", "7")

    assert found["cycles"] == "120"
    assert [found[f"{name}_left"] for name in ("connections", "streams", "seats", "sockets")] == ["0"] * 4


def test_clients_that_do_not_read_are_let_go_and_cost_little():
    found = figures("stalled", "--clients", "6", "--seconds", "35")

    assert float(found["times_one_was_let_go"]) >= 1
    assert found["others_dropped"] == "0"
