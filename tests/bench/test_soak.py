"""The soak for a minute with real processes: books balanced at each look, queues bounded."""

import os
import re
import subprocess
import sys

import pytest

from tests.bench.figures import ROOT

SIZE = ("--agents", "8", "--tokens", "30", "--steps", "40", "--signals", "2")
SECONDS_MAX = 240


def start(*words):
    command = [sys.executable, "-m", "tests.bench.soak", *SIZE, *words]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def runs():
    """Both runs at once, each on servers of its own: half of each is waiting."""
    started = [start("--seconds", "60"), start("--seconds", "12", "--control", "--seed", "2")]
    try:
        said = [one.communicate(timeout=SECONDS_MAX) for one in started]
    finally:
        for one in started:
            one.kill()
    return [(one.returncode, *words, figures_of(words[0])) for one, words in zip(started, said, strict=True)]


def figures_of(said):
    return dict(re.findall(r"(\w+)=(\S+)", said.splitlines()[-1] if said else ""))


def test_a_short_soak_balances_its_books_and_bounds_its_queues(runs):
    code, said, problems, figures = runs[0]
    assert code == 0, said[-3000:] + problems[-3000:]
    assert figures["missed"] == "-"
    assert figures["unbalanced"] == "0"
    assert int(figures["fills"]) > 0
    assert int(figures["signals"]) > 0


def test_a_lamport_too_much_and_a_queue_that_nobody_reads_are_missed(runs):
    code, said, problems, figures = runs[1]
    assert code == 1, said[-3000:] + problems[-3000:]
    assert {"books", "queues"} <= set(figures["missed"].split(","))
    assert figures["overlooked"] == "-"
    assert int(figures["looks"]) > int(figures["unbalanced"]) > 0
    assert "entries_balance" in said
    assert "guards_on" not in said
    assert int(figures["queued_max"]) > 200
