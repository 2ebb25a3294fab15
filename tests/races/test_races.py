"""A small seeded part of the races on a real fleet, and its negative control, both at once."""

import re

import pytest

from tests.crash import at_once

LAST = re.compile(r"races: rounds=(\d+) signals=\d+ buys=\d+ (.*) takeover_s_max=([\d.]+)$", re.MULTILINE)
CONTROL_ROUNDS = 3
SECONDS_MAX = 300


@pytest.fixture(scope="module")
def runs():
    words = ("--n", "1", "--seed", "11"), ("--n", str(CONTROL_ROUNDS), "--seed", "12", "--control")
    done = at_once.run("tests.races", *words, seconds=SECONDS_MAX)
    return [(code, said, LAST.findall(said)) for code, said in done]


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
