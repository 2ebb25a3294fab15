"""Which rows the pass looks at, and of which of them it asks for the exact state: no more than it must."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from tests.unit.rules.samples import NOW, POLICY, bought
from trading.rules import vector
from trading.rules.policy import Policy, StalePolicy, StopMode, StopPolicy, TrailingLevel

ROW = np.array([0])
SECONDS = NOW.timestamp()
LEVELS = tuple(TrailingLevel(Decimal(change), Decimal(stop)) for change, stop in ((100, 50), (50, 20), (25, 8)))
CUSTOM = replace(POLICY, stop=StopPolicy(True, StopMode.CUSTOM, Decimal(-40), LEVELS))
PINNED = replace(POLICY, stop=StopPolicy(True, StopMode.CUSTOM, Decimal(-30)))
STALE = replace(POLICY, stale=StalePolicy(True, Decimal(60), Decimal(1), Decimal(10)))
HOUR = 3_600.0


def filled(policy: Policy, **changes: object) -> vector.Columns:
    columns = vector.Columns.empty(1)
    vector.fill(columns, 0, bought(**changes), policy, price_index=0)
    return columns


def look(columns: vector.Columns, price: str, after: float = 0.0) -> vector.Proposal | None:
    """A pass as the engine makes it; None when the row is not looked at."""
    at = np.array([float(price)])
    rows = vector.moving(columns, ROW, at, SECONDS + after)
    if not len(rows):
        return None
    proposal = vector.propose(columns, rows, at, SECONDS + after)
    vector.advance(columns, rows, at, SECONDS + after)
    return proposal


@pytest.mark.parametrize(
    ("price", "asks"),
    [("0.0011", False), ("0.00124", False), ("0.00125", True), ("0.0014", True), ("0.0021", True)],
)
def test_a_custom_stop_asks_for_its_exact_state_from_its_first_level_on(price: str, asks: bool) -> None:
    proposal = look(filled(CUSTOM), price)

    assert proposal is not None
    assert (list(proposal.peaks), list(proposal.stops)) == ([0], [0] if asks else [])


@pytest.mark.parametrize(("price", "asks"), [("0.0014", False), ("0.00149", False), ("0.0015", True)])
def test_a_custom_stop_that_reached_a_level_asks_again_at_the_next(price: str, asks: bool) -> None:
    columns = filled(CUSTOM, peak=Decimal("0.0013"), stop_percent=Decimal(8))

    proposal = look(columns, price)

    assert proposal is not None
    assert (list(proposal.peaks), list(proposal.stops)) == ([0], [0] if asks else [])


def test_beyond_its_last_level_and_when_pinned_a_custom_stop_never_asks() -> None:
    last = look(filled(CUSTOM, peak=Decimal("0.0021"), stop_percent=Decimal(50)), "0.009")
    pinned = look(filled(PINNED, stop_percent=Decimal(-30)), "0.009")

    assert last is not None
    assert pinned is not None
    assert (list(last.peaks), list(last.stops)) == ([0], [])
    assert (list(pinned.peaks), list(pinned.stops)) == ([0], [])


@pytest.mark.parametrize("price", ["0.00092", "0.00112"])
def test_an_old_row_is_looked_at_once_and_then_only_when_it_moves(price: str) -> None:
    # given a position past its hour, whose price has been lower and higher than now
    columns = filled(STALE, peak=Decimal("0.00115"), low=Decimal("0.0009"))

    assert look(columns, price, HOUR - 1) is None
    first = look(columns, price, HOUR)
    again = [look(columns, price, HOUR + second) for second in (1, 2, 3)]

    assert first is not None
    assert list(first.candidates) == []
    assert again == [None, None, None]


@pytest.mark.parametrize("outside", ["0.00092", "0.00112"])
@pytest.mark.parametrize("inside", ["0.00101", "0.00105", "0.0011"])
def test_an_old_row_whose_price_enters_the_gains_of_the_stale_close_is_proposed_until_it_leaves(
    outside: str, inside: str
) -> None:
    columns = filled(STALE, peak=Decimal("0.00115"), low=Decimal("0.0009"))
    look(columns, outside, HOUR)

    seen = [look(columns, inside, HOUR + second) for second in (1, 2)]
    left = look(columns, outside, HOUR + 3)

    assert [list(proposal.candidates) if proposal else None for proposal in seen] == [[0], [0]]
    assert left is not None
    assert list(left.candidates) == []
    assert look(columns, outside, HOUR + 4) is None


def test_an_old_row_whose_price_jumps_over_those_gains_is_looked_at_on_the_other_side_too() -> None:
    columns = filled(STALE, peak=Decimal("0.00115"), low=Decimal("0.0009"))
    look(columns, "0.00112", HOUR)

    below = look(columns, "0.00092", HOUR + 1)
    inside = look(columns, "0.00101", HOUR + 2)

    assert below is not None
    assert inside is not None
    assert (list(below.candidates), list(inside.candidates)) == ([], [0])


def test_an_old_row_that_is_being_sold_is_not_looked_at_for_its_age() -> None:
    columns = filled(STALE, peak=Decimal("0.00115"), low=Decimal("0.0009"), opened_at=NOW - timedelta(hours=1))
    first = look(columns, "0.00105")
    columns.sells[0] = False  # an order was planned

    look(columns, "0.00105", 1)

    assert first is not None
    assert list(first.candidates) == [0]
    assert look(columns, "0.00106", 2) is None
