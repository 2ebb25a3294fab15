"""Processes beside each other and without each other: two price engines, a dead Valkey.

Real worker processes and real kills; no beat and no supervisor, so that only the processes' own timers are left. A feed
that lies or is silent: `test_races_feed.py`.
"""

import signal
import time

import pytest
from django.db import connection

from nexgent import clock
from tests.independence.market import FAST, Market, held, outside
from tests.independence.processes import until, workers
from tests.independence.scale import SCALE, Figure, misses, note
from tests.servers import own_valkey
from trading.books import check
from trading.engine import recovery
from trading.models import EngineState, Order, Position, Side

pytestmark = pytest.mark.django_db(transaction=True)


def owner():
    return EngineState.objects.get().owner


def is_closed(position):
    def look():
        position.refresh_from_db()
        return position.closed_at is not None

    return look


def a_second_stands_by():
    """A prices process whose last statement tried the lock and did not get it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nexgent prices'"
            " AND query LIKE '%pg_try_advisory_lock%' AND datname = current_database()"
        )
        return cursor.fetchone()[0] >= 1


def watching():
    until(recovery.is_recovered, seconds=40)
    until(lambda: bool(recovery.report()["watched"]), seconds=10)


def taken_over(before):
    """Seconds until another engine than `before` watches."""
    red = until(lambda: not recovery.is_recovered(), seconds=4)
    return red + until(lambda: recovery.is_recovered() and owner() != before, seconds=20)


def test_a_second_prices_process_takes_over_from_a_frozen_one_and_the_woken_one_from_a_killed_one():
    with Market() as market:
        positions = [held(), held()]
        for position in positions:
            market.set(position.token_id, "0.001")
        more = outside(market) | FAST
        with workers("prices", more=more) as (first,):
            watching()
            frozen = owner()
            with workers("prices", "exits", more=more) as (second, _):
                until(a_second_stands_by, seconds=40)
                time.sleep(1)
                assert owner() == frozen
                first.send_signal(signal.SIGSTOP)
                after_freeze = taken_over(frozen)
                market.set(positions[0].token_id, "0.00078")
                until(is_closed(positions[0]), seconds=20)
                killed = owner()
                first.send_signal(signal.SIGCONT)
                woken = until(a_second_stands_by, seconds=20)
                assert owner() == killed
                assert Order.objects.filter(side=Side.SELL).count() == 1
                second.send_signal(signal.SIGKILL)
                second.wait()
                after_kill = taken_over(killed)
                market.set(positions[1].token_id, "0.00078")
                until(is_closed(positions[1]), seconds=20)
    figures = [
        Figure("after a freeze", after_freeze, SCALE.takeover_max),
        Figure("kill", after_kill, SCALE.takeover_max),
    ]
    note("two engines, until the second watches", *figures, words=f"the woken one stands by after {woken:.2f} s")
    assert misses(figures) == []
    assert Order.objects.filter(side=Side.SELL).count() == 2
    assert [position.close_reason for position in positions] == ["stop_loss", "stop_loss"]
    assert check().problems == ()


def booked_while_valkey_is_away(settings, controls=()) -> list[Figure]:
    """What a stop due at the beginning and one due at the end of the outage took from their ticks."""
    booked = []
    with Market() as market, own_valkey() as valkey:
        settings.REDIS_URL = valkey.redis_url
        positions = [held(), held()]
        for position in positions:
            market.set(position.token_id, "0.001")
        more = outside(market)
        with workers("prices", "exits", more=more, controls=controls):
            watching()
            time.sleep(3)
            valkey.processes["valkey"].kill()
            valkey.processes["valkey"].wait()
            gone = time.monotonic()
            for name, position in zip(("beginning", "end"), positions, strict=True):
                market.set(position.token_id, "0.00078")
                seconds = planned_and_booked(position)
                booked.append(Figure(f"stop due at its {name} booked", seconds, SCALE.valkey_booked_max))
                if booked[-1].is_met and name == "beginning":
                    time.sleep(max(0.0, SCALE.valkey_away - (time.monotonic() - gone)))
    return booked


def planned_and_booked(position) -> float:
    """Seconds from the tick of a position's stop to its booking; from now on when it is not booked in time."""
    sales = Order.objects.filter(position=position, side=Side.SELL)
    until(sales.exists, seconds=20)
    tick = sales.get().price_at
    end = time.monotonic() + SCALE.valkey_booked_max + 1
    until(lambda: is_closed(position)() or time.monotonic() > end, seconds=20)
    return ((sales.get().final_at or clock.now()) - tick).total_seconds()


def test_a_stop_due_while_valkey_is_away_is_booked_within_five_seconds(settings):
    figures = booked_while_valkey_is_away(settings)
    note(f"Valkey away for {SCALE.valkey_away:g} s", *figures)
    assert misses(figures) == []
    assert set(Position.objects.values_list("close_reason", flat=True)) == {"stop_loss"}
    assert check().problems == ()


@pytest.mark.skipif(not SCALE.is_full, reason="control of the outage of Valkey: make independence")
def test_control_without_a_timer_of_its_own_a_worker_waits_for_the_bell(settings):
    missed = misses(booked_while_valkey_is_away(settings, controls=("no_timers",)))
    note("control, workers that only follow the bell", words=f"finds: {'; '.join(missed)}")
    assert len(missed) >= 1
