"""A small seeded part of the races on a real fleet, and its negative control, both at once."""

import os
import re
import subprocess
import sys

import pytest

from tests.crash.system import ROOT

LAST = re.compile(r"races: rounds=(\d+) signals=\d+ buys=\d+ (.*) takeover_s_max=([\d.]+)$", re.MULTILINE)
CONTROL_ROUNDS = 3
SECONDS_MAX = 300


def start(*words: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "-m", "tests.races", "--quick", *words]
    return subprocess.Popen(command, cwd=ROOT, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def runs():
    """Both runs at once: much of each is waiting."""
    started = [start("--n", "1", "--seed", "11"), start("--n", str(CONTROL_ROUNDS), "--seed", "12", "--control")]
    try:
        said = [one.communicate(timeout=SECONDS_MAX)[0] for one in started]
    finally:
        for one in started:
            one.kill()
    return [(one.returncode, text, LAST.findall(text)) for one, text in zip(started, said, strict=True)]


def figures_of(text):
    return {name: int(number) for name, number in (word.split("=") for word in text.split())}


def test_everything_at_one_moment_on_a_fleet_is_done_once_and_answered(runs):
    code, said, last = runs[0]
    assert last, said
    rounds, figures, takeover = last[-1]
    assert rounds == "1"
    assert set(figures_of(figures).values()) == {0}, said
    assert 0 < float(takeover) <= 5, said
    assert code == 0


def test_without_leases_locks_and_constraints_the_same_races_find_what_was_done_twice(runs):
    code, said, last = runs[1]
    assert last, said
    figures = figures_of(last[-1][1])
    assert figures["double_buys"] + figures["overspent"] + figures["sold_twice"] > 0, said
    assert code == 1
