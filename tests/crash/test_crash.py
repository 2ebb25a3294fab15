"""A small seeded part of the crash proof, and two of its negative controls, with processes and servers of their own."""

import os
import re
import subprocess
import sys

import pytest

from tests.crash.system import ROOT

LAST = re.compile(r"lost=(\d+) doubled=(\d+) non_terminal=(\d+) unwatched=(\d+) points=(\d+)")
SECONDS_MAX = 300


def start(*words: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_URL", "REDIS_URL"))}
    command = [sys.executable, "-m", "tests.crash", "--quick", *words]
    return subprocess.Popen(command, cwd=ROOT, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def runs():
    """All runs at once: half of each is waiting."""
    control = ("--n", "4", "--seed", "12", "--control")
    started = [start("--n", "6", "--seed", "11"), start(*control, "intent"), start(*control, "submitted")]
    try:
        said = [one.communicate(timeout=SECONDS_MAX)[0] for one in started]
    finally:
        for one in started:
            one.kill()
    return [(one.returncode, text, LAST.findall(text)) for one, text in zip(started, said, strict=True)]


def test_killed_at_named_points_nothing_is_lost_doubled_unfinished_or_unwatched(runs):
    code, said, figures = runs[0]
    assert figures, said
    lost, doubled, non_terminal, unwatched, points = map(int, figures[-1])
    assert (lost, doubled, non_terminal, unwatched) == (0, 0, 0, 0), said
    assert points >= 1, said
    assert code == 0


def test_without_the_commit_of_the_intent_the_same_proof_finds_losses(runs):
    code, said, figures = runs[1]
    assert figures, said
    assert int(figures[-1][0]) > 0, said
    assert "lost: no verdict: signal" in said
    assert code == 1


def test_without_the_commit_before_the_venue_is_called_the_same_proof_finds_what_was_doubled(runs):
    code, said, figures = runs[2]
    assert figures, said
    assert int(figures[-1][1]) > 0, said
    assert "doubled: swapped 2 times" in said
    assert code == 1
