"""The last stamp of an order: who waits for it finds it written."""

from tests.trader import Trader
from trading.engine import published


def test_what_was_filled_is_stamped_when_the_wait_is_over(tape):
    trader = Trader.with_position(tape)

    assert published.flush()

    assert "published" in trader.orders()[0].stages
