"""One bucket per provider for all processes: entries leave a reserve, exits are never refused, Valkey may be away."""

import uuid
from itertools import takewhile
from typing import Any

import pytest

from prices import cache
from prices.budget import Budget
from prices.records import Lane


def budgets(per_minute: int) -> tuple[Budget, Budget]:
    """The same provider's bucket as two processes see it."""
    name = f"test-{uuid.uuid4()}"
    return Budget(name, per_minute), Budget(name, per_minute)


def spend(budget: Budget, lane: Lane) -> int:
    """How many calls the lane gets at once."""
    return len(list(takewhile(lambda _: budget.take(lane).is_granted, range(1000))))


def test_two_processes_share_one_bucket() -> None:
    one, two = budgets(400)

    assert spend(one, Lane.POSITIONS) in (90, 91)
    assert spend(two, Lane.POSITIONS) <= 2


def test_lanes_leave_their_reserve_to_what_is_more_urgent() -> None:
    one, two = budgets(400)

    assert spend(one, Lane.BACKGROUND) in (40, 41)
    assert spend(two, Lane.SIGNALS) in (30, 31)
    refused = one.take(Lane.SIGNALS)
    assert refused.is_granted is False
    assert 0 < refused.wait_seconds < 1
    assert spend(one, Lane.POSITIONS) in (20, 21)


def test_d36_an_exit_is_never_refused() -> None:
    one, two = budgets(40)
    spend(one, Lane.POSITIONS)

    assert all(two.take(Lane.EXITS).is_granted for _ in range(50))
    assert one.take(Lane.POSITIONS).is_granted is False


def test_a_minute_never_sees_more_than_the_rate() -> None:
    for rate in (1, 4, 30, 60, 300):
        budget = Budget("unused", rate)
        assert budget.capacity + 60 * budget.refill_per_second <= rate + 1


def test_without_valkey_each_process_counts_for_itself(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    one, two = budgets(400)

    assert spend(one, Lane.POSITIONS) in (90, 91)
    assert spend(two, Lane.POSITIONS) in (90, 91)
    assert cache.valkey().is_away
    assert one.take(Lane.EXITS).is_granted


@pytest.mark.parametrize("lane", list(Lane))
def test_a_bucket_of_one_call_serves_every_lane(lane: Lane) -> None:
    one, _ = budgets(4)

    assert one.take(lane).is_granted
