"""What a benchmark says of its figures, and what `make bench` makes of it."""

import pytest

from tests.bench.figures import Figure, closing_line, exit_code, percentile

KEPT = Figure("tick p99", 9.5, "ms", "<= 10")
MISSED = Figure("tick p99", 10.1, "ms", "<= 10")
TOLD = Figure("trades", 40, "")


def test_a_limit_that_is_not_kept_is_missed():
    assert Figure("p99", 10.0, "ms", "<= 10").is_met
    assert Figure("p99", 10.1, "ms", "<= 10").is_met is False
    assert Figure("rate", 2_999, "/s", ">= 3000").is_met is False
    assert Figure("told", 1).is_met is None


def test_percentiles_are_the_nearest_rank():
    samples = [float(n) for n in range(1, 101)]

    assert [percentile(samples, p) for p in (50, 95, 99, 100)] == [50.0, 95.0, 99.0, 100.0]
    assert percentile([3.0], 99) == 3.0


@pytest.mark.parametrize(
    ("figure", "load", "line", "code"),
    [
        (KEPT, 0.5, "post: tick_p99=9.5ms trades=40 load=0.5 missed=-", 0),
        (KEPT, 9.0, "post: tick_p99=9.5ms trades=40 load=9.0 NOISY missed=-", 0),
        (MISSED, 2.0, "post: tick_p99=10.1ms trades=40 load=2.0 missed=tick_p99", 1),
        (MISSED, 2.1, "post: tick_p99=10.1ms trades=40 load=2.1 NOISY missed=tick_p99", 0),
    ],
    ids=["kept", "kept, noisy", "missed", "missed, noisy"],
)
def test_a_target_missed_on_a_quiet_machine_ends_with_1_and_a_noisy_one_says_so(figure, load, line, code):
    assert closing_line("post", [figure, TOLD], load=load) == line
    assert exit_code([line]) == code


def test_one_missed_target_of_many_benchmarks_is_enough_and_told_figures_end_with_0():
    kept, missed = (closing_line(name, [figure], load=1.0) for name, figure in (("post", KEPT), ("ledger", MISSED)))

    assert exit_code([kept, missed, kept]) == 1
    assert exit_code([kept, missed, kept], is_told=True) == 0
    assert exit_code([kept, kept]) == 0


def test_a_benchmark_that_did_not_run_is_missed():
    assert exit_code(["post: missed=it_did_not_run"]) == 1
