"""With the prices process dead, an exits process takes the engine role over and books a stop: within five seconds, as
`make independence` judges it, on a busy machine within ten.

Real worker processes, real kill -9, no beat and no supervisor: only the processes' own timers are left.
"""

import signal
import time

import pytest

from tests.independence.market import FAST, Market, held, outside
from tests.independence.processes import until, workers
from tests.independence.scale import SCALE, Figure, misses, note
from trading.books import check
from trading.engine import recovery


@pytest.mark.django_db(transaction=True)
def test_an_exits_process_takes_over_and_books_a_stop_in_seconds():
    with Market() as market:
        position = held()
        market.set(position.token_id, "0.001")
        with workers("prices", "exits", more=outside(market) | FAST) as (first, _):
            until(recovery.is_recovered, seconds=40)
            until(lambda: bool(recovery.report()["watched"]), seconds=10)
            time.sleep(3)  # the exits process stands by
            first.send_signal(signal.SIGKILL)
            market.set(position.token_id, "0.00078")  # a fall of less than 30 % waits for no second source

            def is_booked() -> bool:
                position.refresh_from_db()
                return position.closed_at is not None

            took = until(is_booked, seconds=20)
    figures = [Figure("stop booked", took, SCALE.takeover_max)]
    note("an exits process takes over from a killed one of the prices", *figures)
    assert misses(figures) == []
    assert position.close_reason == "stop_loss"
    assert check().problems == ()
