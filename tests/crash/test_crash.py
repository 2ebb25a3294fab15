"""A small seeded part of the crash proof, and two of its negative controls, with processes and servers of their own."""

import re

import pytest

from tests.crash import at_once

LAST = re.compile(r"lost=(\d+) doubled=(\d+) non_terminal=(\d+) unwatched=(\d+) points=(\d+)")
SECONDS_MAX = 300


@pytest.fixture(scope="module")
def runs():
    control = ("--n", "4", "--seed", "12", "--control")
    words = ("--n", "6", "--seed", "11"), (*control, "intent"), (*control, "submitted")
    done = at_once.run("tests.crash", *words, seconds=SECONDS_MAX)
    return [(code, said, LAST.findall(said)) for code, said in done]


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
