"""What the book has read anew leaves at once: no ring of objects waits for the garbage collector."""

import gc
import weakref

import pytest

from tests.trader import Trader, tape_clock
from trading.engine import positions
from trading.models import Position

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_position_whose_state_was_read_goes_with_its_last_reference() -> None:
    # given
    with tape_clock() as tape:
        trader = Trader(tape)
        trader.price("1")
        trader.buy("1")
    gc.disable()
    try:
        position = Position.objects.select_related("watermark", "agent", "wallet").get()
        ghost = weakref.ref(position)
        # when
        state = positions.state_of(position)
        del position
        # then
        assert state.peak > 0
        assert ghost() is None
    finally:
        gc.enable()
