"""Split exits whose later part fails: the tape of the matrix reaches them (`test_parity` compares the loops on it)."""

from collections import Counter

import pytest

from tests.parity import matrix
from trading.replay.plan import Plan
from trading.replay.rules_loop import Simulation
from trading.rules import retry
from trading.rules.decision import Sell


class Watched(Simulation):
    """Counts what happens to exits that were split."""

    def __init__(self, plan):
        super().__init__(plan)
        self.seen = Counter()

    def _sale_failed(self, order, tick):
        self.seen["a later part failed"] += order.part > 1 and order.rule == "take_profit"
        super()._sale_failed(order, tick)

    def _may_sell(self, command: Sell, tick):
        waiting = self.sale
        answer = super()._may_sell(command, tick)
        self.seen["a retry gave way to a stop"] += waiting is not None and self.sale is None
        return answer


@pytest.fixture(scope="module")
def seen():
    run = matrix.SPLITS
    simulation = Watched(
        Plan(
            None,
            matrix.SPLITS_CONFIG,
            profile=run.profile,
            seed=matrix.SEED,
            reentry_seconds=run.reentry_seconds,
            liquidity_sol=run.liquidity_sol,
            limit=run.limit,
        )
    )
    for tick in simulation.plan.ticks():
        simulation.on(tick)
    return simulation.seen


def test_the_tape_reaches_a_failed_later_part_and_a_retry_that_gives_way(seen):
    assert seen == {"a later part failed": 5, "a retry gave way to a stop": 1}


def test_a_later_part_is_stubborn_whatever_its_rule():
    tried = [("take_profit", 1), ("take_profit", 2), ("stop_loss", 1)]
    assert [retry.is_stubborn(rule, part) for rule, part in tried] == [False, True, True]
    assert [retry.retry_after(failures).total_seconds() for failures in (1, 2, 4, 5, 6)] == [2, 4, 16, 30, 30]
