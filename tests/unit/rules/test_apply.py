"""Events: what a fill does to the position, to the lamport."""

from datetime import timedelta
from decimal import Decimal

import pytest

from nexgent.errors import Refusal
from tests.unit.rules.samples import NOW, POLICY, bought, tick
from trading.rules.apply import apply, open_position
from trading.rules.decide import decide
from trading.rules.decision import Hold
from trading.rules.position import Bought, DcaPostponed, Sold, StopPinned

FILL = Bought(
    lamports=600_000_000,
    units=1_000_000_000,
    fee_lamports=5_000,
    rent_lamports=0,
    at=NOW,
    default_stop_percent=Decimal(-32),
    ladder_length=4,
)


def test_d28_the_first_average_is_without_fees_and_the_cost_with_them_and_rent_is_neither() -> None:
    position = bought()

    assert position.average == Decimal("0.001")
    assert (position.invested_lamports, position.cost_lamports) == (1_000_005_000, 1_000_005_000)
    assert position.rent_lamports == 2_039_280
    assert position.realised_lamports == 0


def test_d6_a_dca_fill_re_bases_peak_and_stop_so_that_the_next_tick_holds() -> None:
    # given a position that has been at +50 % and has fallen
    position = bought(peak=Decimal("0.0015"), stop_percent=Decimal(40), levels_hit=1, low=Decimal("0.0005"))

    # when DCA buys at 0.0006
    after = apply(position, FILL)

    # then the new average includes all fees, and peak, stop and ladder begin again
    assert after.average == Decimal("0.000800005")
    assert after.peak == Decimal("0.000800005")
    assert after.stop_percent == -32
    assert (after.generation, after.dca_count, after.last_dca_at) == (2, 1, NOW)
    assert (after.batch_start, after.total_levels, after.levels_hit) == (1, 5, 1)
    assert (after.invested_lamports, after.remaining_units) == (1_600_010_000, 2_000_000_000)
    assert after.low == Decimal("0.0005")
    assert decide(after, tick("0.0006"), POLICY, NOW).command == Hold()


def test_a_fill_above_the_new_average_becomes_the_peak() -> None:
    assert apply(bought(average=Decimal("0.0001"), invested_lamports=10**8), FILL).peak == Decimal("0.0006")


def test_part_sales_book_their_share_of_the_cost_and_the_last_takes_the_rest() -> None:
    # given a cost that does not divide by three
    position = bought(cost_lamports=100, invested_lamports=100, remaining_units=3, bought_units=3)

    first = apply(position, Sold(1, 50, NOW, levels=1))
    second = apply(first, Sold(1, 50, NOW))
    last = apply(second, Sold(1, 50, NOW))

    assert [first.cost_lamports, second.cost_lamports, last.cost_lamports] == [67, 34, 0]
    assert [first.realised_lamports, second.realised_lamports, last.realised_lamports] == [17, 34, 50]
    assert (last.received_lamports, last.levels_hit, last.is_closed) == (150, 1, True)


def test_selling_more_than_held_is_refused() -> None:
    with pytest.raises(Refusal) as refusal:
        apply(bought(), Sold(1_000_000_001, 1, NOW))

    assert refusal.value.code == "OVERSOLD"


def test_buying_nothing_opens_nothing() -> None:
    with pytest.raises(Refusal) as refusal:
        open_position(
            fill_lamports=1,
            units=0,
            fee_lamports=0,
            rent_lamports=0,
            decimals=6,
            at=NOW,
            default_stop_percent=Decimal(-32),
            ladder_length=0,
        )

    assert refusal.value.code == "ZERO_TOKENS"


def test_a_pinned_stop_replaces_the_ratchet_in_a_new_generation() -> None:
    after = apply(bought(stop_percent=Decimal(40)), StopPinned(Decimal(-10), Decimal("0.0011")))

    assert (after.stop_percent, after.peak, after.generation) == (-10, Decimal("0.0011"), 2)


def test_a_refused_dca_waits_and_a_dca_fill_ends_the_wait() -> None:
    waiting = apply(bought(), DcaPostponed(NOW + timedelta(seconds=60)))

    assert waiting.dca_not_before == NOW + timedelta(seconds=60)
    assert apply(waiting, FILL).dca_not_before is None
