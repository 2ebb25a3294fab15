"""The soak for a few seconds with real processes: books balanced at each look, queues bounded."""

import re
import subprocess
import sys

from tests.bench.figures import ROOT, Figure, percentile


def test_a_short_soak_balances_its_books_and_bounds_its_queues():
    words = ["--seconds", "20", "--agents", "8", "--tokens", "30", "--steps", "40", "--signals", "2"]

    run = subprocess.run(
        [sys.executable, "-m", "tests.bench.soak", *words], cwd=ROOT, capture_output=True, text=True, timeout=240
    )

    figures = dict(re.findall(r"(\w+)=(\S+)", run.stdout.splitlines()[-1] if run.stdout else ""))
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert figures["missed"] == "-"
    assert figures["unbalanced"] == "0"
    assert int(figures["fills"]) > 0
    assert int(figures["signals"]) > 0


def test_a_limit_that_is_not_kept_is_missed():
    assert Figure("p99", 10.0, "ms", "<= 10").is_met
    assert Figure("p99", 10.1, "ms", "<= 10").is_met is False
    assert Figure("rate", 2_999, "/s", ">= 3000").is_met is False
    assert Figure("told", 1).is_met is None


def test_percentiles_are_the_nearest_rank():
    samples = [float(n) for n in range(1, 101)]

    assert [percentile(samples, p) for p in (50, 95, 99, 100)] == [50.0, 95.0, 99.0, 100.0]
    assert percentile([3.0], 99) == 3.0
