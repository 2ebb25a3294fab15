"""Processes beside each other and without each other: two price engines, a dead Valkey, a feed that lies or is silent.

Real worker processes and real kills; no beat and no supervisor, so that only the processes' own timers are left.
"""

import os
import signal
import time
from decimal import Decimal

import pytest
from django.db import connection

from nexgent.events.models import Alarm
from tests.fakes.jupiter import FakeJupiter
from tests.fakes.loopback import Fault, Raw
from tests.integration.test_takeover import SOL_USD, bought, until, worker
from tests.servers import own_valkey
from tests.trader import new_mint
from trading.books import check
from trading.engine import recovery
from trading.models import EngineState, Order, Side

TAKEOVER_SECONDS = 5.0
OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "6"))
BOOKED_SECONDS = 5.0

pytestmark = pytest.mark.django_db(transaction=True)


def quote(sol):
    return Raw(format(Decimal(sol) * SOL_USD, "f"))


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


def test_a_second_prices_process_stands_by_and_takes_over_within_five_seconds():
    mint = new_mint()
    with FakeJupiter(sol_usd=SOL_USD) as market:
        market.prices[mint] = quote("0.001")
        position = bought(mint)
        with worker("prices", market) as first:
            watching()
            before = owner()
            with worker("prices", market), worker("exits", market):
                until(a_second_stands_by, seconds=40)
                time.sleep(1)
                assert owner() == before
                first.send_signal(signal.SIGKILL)
                first.wait()
                red = until(lambda: not recovery.is_recovered(), seconds=2)
                took = until(lambda: recovery.is_recovered() and owner() != before, seconds=20)
                market.prices[mint] = quote("0.00078")
                until(is_closed(position), seconds=20)
    print(f"two engines: readiness red {red:.2f} s after the kill, the second watches {red + took:.2f} s after it")
    assert red + took <= TAKEOVER_SECONDS
    assert Order.objects.filter(side=Side.SELL).count() == 1
    assert position.close_reason == "stop_loss"
    assert check().problems == ()


def test_a_stop_due_while_valkey_is_away_is_booked_within_five_seconds(settings):
    mint = new_mint()
    with FakeJupiter(sol_usd=SOL_USD) as market, own_valkey() as valkey:
        settings.REDIS_URL = valkey.redis_url
        market.prices[mint] = quote("0.001")
        position = bought(mint)
        with worker("prices", market), worker("exits", market):
            watching()
            time.sleep(3)
            valkey.processes["valkey"].kill()
            valkey.processes["valkey"].wait()
            time.sleep(OUTAGE_SECONDS)
            market.prices[mint] = quote("0.00078")
            took = until(is_closed(position), seconds=20)
            order = Order.objects.get(side=Side.SELL)
    from_tick = (order.final_at - order.price_at).total_seconds()
    print(
        f"Valkey away for {OUTAGE_SECONDS:g} s: stop booked {from_tick:.2f} s after its tick,"
        f" {took:.2f} s after the price moved"
    )
    assert position.close_reason == "stop_loss"
    assert from_tick <= BOOKED_SECONDS
    assert check().problems == ()


def test_a_feed_that_lies_once_is_silent_and_comes_back_sells_only_what_is_due():
    mint = new_mint()
    with FakeJupiter(sol_usd=SOL_USD) as market:
        market.prices[mint] = quote("0.001")
        position = bought(mint)
        with worker("prices", market), worker("exits", market):
            watching()
            asked = len(market.requests)
            market.prices[mint] = quote("0.0005")  # one answer says half, from one source
            until(lambda: len(market.requests) > asked, seconds=10)
            market.prices[mint] = quote("0.001")
            time.sleep(5)
            assert Order.objects.filter(side=Side.SELL).count() == 0

            del market.prices[mint]
            market.fault = Fault(status=503, body=b"{}")
            until(lambda: Alarm.objects.filter(code="PRICE_FEED_DOWN", cleared_at=None).exists(), seconds=40)
            assert Order.objects.filter(side=Side.SELL).count() == 0
            connection.close()

            market.prices[mint] = quote("0.00078")
            market.fault = None
            until(is_closed(position), seconds=90)
            until(lambda: not Alarm.objects.filter(code="PRICE_FEED_DOWN", cleared_at=None).exists(), seconds=20)
    assert position.close_reason == "stop_loss"
    assert check().problems == ()
