"""Orders in sets: a bad one spoils no other, a lock that somebody holds keeps nobody else waiting, what only waits
holds no thread, and a venue keeps within its limit.
"""

import threading
import time
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from nexgent import clock
from nexgent.events.models import Alarm
from prices import services as prices
from prices.records import PriceTick
from tests.trader import Trader
from tests.venues import outside
from trading import live
from trading.books import check
from trading.engine import drains, executor, hands, leases, locks
from trading.engine import market as markets
from trading.engine.drains import Drain
from trading.engine.watch import Engine
from trading.engine.work import Result
from trading.models import Order, Position, Side, State

pytestmark = pytest.mark.django_db(transaction=True)


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def stops(tape, count, *, profile="outside"):
    """So many traders, each with a stop that is due."""
    traders = [Trader(tape, profile="ideal") for _ in range(count)]
    for trader in traders:
        trader.price("0.001")
        trader.buy("1")
    tape.set(clock.now().replace(second=10))
    Position.objects.update(profile=profile)
    ticks = [PriceTick(trader.mint, Decimal("0.0006"), clock.now(), "test") for trader in traders]
    prices.publish(ticks)
    assert Engine().step() == count
    return traders


@pytest.fixture
def drain():
    drain = Drain(Side.SELL)
    yield drain
    until(lambda: not drain.in_hand)
    drain.stop()


def sold():
    return Position.objects.filter(close_reason="stop_loss").count()


def test_twenty_five_stops_are_three_transactions_of_a_few_statements(tape):
    outside()
    stops(tape, 25)
    claimed = leases.take(Side.SELL, most=100, at=clock.now())
    markets = executor.market_of([one.order_id for one in claimed])
    busy = time.thread_time()
    with CaptureQueriesContext(connection) as spent:
        begun = executor.begin(markets, leases.OWNER, is_patient=False)
        for work in begun.works:
            executor.ask(work)
        ours = executor.submitted(begun.works, leases.OWNER)
        results = [Result(work.order.id, work.market, work.quote) for work in ours]
        assert executor.settle(results, leases.OWNER, is_patient=False) == []

    busy = (time.thread_time() - busy) / 25 * 1000
    print(f"sets: 25 stops: {len(spent)} statements, {busy:.2f} ms of Python's processor time per stop")
    assert len(ours) == sold() == 25
    assert len(spent) <= 40
    assert check().problems == ()


def test_a_bad_order_spoils_no_other_of_its_set(tape, drain, monkeypatch):
    outside()
    bad = stops(tape, 6)[2].position.id
    tell = live.position_event

    def fails_for_one(position, *arguments, **options):
        if position.id == bad:
            raise ValueError("this one")
        return tell(position, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(live, "position_event", fails_for_one)
        assert drain.drain() == 6
        until(lambda: not drain.in_hand)
    order = Order.objects.get(position_id=bad, side=Side.SELL)

    assert sold() == 5
    assert order.state == State.SUBMITTED
    alarm = Alarm.objects.get(code="ORDER_STUCK", cleared_at=None)
    assert (alarm.subject, alarm.agent_id, alarm.workspace_id) == (str(order.id), order.agent_id, order.workspace_id)
    assert drain.failures == {"ValueError": 1}

    Order.objects.filter(id=order.id).update(lease_until="2020-01-01T00:00:00Z")
    drain.drain()
    until(lambda: sold() == 6)
    assert check().problems == ()


def test_submissions_take_their_rows_in_the_order_of_the_ids(tape):
    outside()
    stops(tape, 2)
    claimed = leases.take(Side.SELL, most=100, at=clock.now())
    works = executor.begin(executor.market_of([one.order_id for one in claimed]), leases.OWNER, is_patient=False).works
    for work in works:
        executor.ask(work)
    first, second = sorted(work.order.id for work in works)
    Order.objects.filter(id=first).update(ordinal=F("ordinal"))  # its row now lies behind the other's
    done = []

    def submit():
        with connection.cursor() as cursor:
            cursor.execute("SET enable_nestloop = off")  # the plan that visits rows as they lie
        done.extend(executor.submitted(works, leases.OWNER))
        connection.close()

    thread = threading.Thread(target=submit)
    with transaction.atomic():
        locks.orders([first])
        thread.start()
        until(waits_for_a_lock)
        assert list(Order.objects.filter(id=second).select_for_update(skip_locked=True, no_key=True)) != []
    thread.join()

    assert len(done) == 2


def waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0] > 0


def test_a_market_that_cannot_be_read_keeps_only_its_own_orders_waiting(tape, drain, monkeypatch):
    outside()
    bad = stops(tape, 4)[1]
    read = markets.read

    def fails_for_one(mints, **options):
        if bad.mint in mints:
            raise ValueError("this one")
        return read(mints, **options)

    monkeypatch.setattr(drains, "read", fails_for_one)
    monkeypatch.setattr(markets, "read", fails_for_one)
    assert drain.drain() == 4
    until(lambda: not drain.in_hand)

    assert sold() == 3
    assert drain.failures == {"ValueError": 1}
    assert Alarm.objects.get(code="ORDER_STUCK", cleared_at=None).subject == str(
        Order.objects.get(position_id=bad.position.id, side=Side.SELL).id
    )


def test_a_wallet_that_somebody_holds_keeps_no_other_order_waiting(tape, drain):
    outside()
    traders = stops(tape, 6)
    held, end = threading.Event(), threading.Event()

    def hold():
        with transaction.atomic():
            locks.wallet(traders[0].wallet.id)
            held.set()
            end.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(5)
    try:
        begun = time.monotonic()
        drain.drain()
        until(lambda: sold() == 5)
        assert time.monotonic() - begun < 1.5
        assert traders[0].position.closed_at is None
    finally:
        end.set()
        holder.join()
    until(lambda: sold() == 6)
    assert traders[0].position.close_reason == "stop_loss"


def test_an_order_that_waits_to_land_holds_no_thread():
    outside(delay_ms=60_000)
    traders = [Trader(None, profile="ideal") for _ in range(4)]
    for trader in traders:
        trader.price("0.001")
        trader.buy("1")
    Position.objects.update(profile="outside")
    Position.objects.filter(id=traders[3].position.id).update(profile="ideal")
    time.sleep(0.01)
    ticks = [PriceTick(trader.mint, Decimal("0.0006"), clock.now(), "test") for trader in traders]
    prices.publish(ticks)
    drain = Drain(Side.SELL, threads=1)
    assert Engine().step() == 4
    try:
        until(lambda: (drain.drain(), sold() == 1)[1])
        waiting = Order.objects.filter(side=Side.SELL, state=State.SUBMITTED, lands_at__gt=clock.now())
        until(lambda: (drain.drain(), waiting.count() == 3)[1])
    finally:
        drain.stop()
    assert traders[3].position.close_reason == "stop_loss"
    assert len(drain.in_hand) == 3
    Order.objects.filter(side=Side.SELL).update(lease_until=None)


def test_a_venue_that_hangs_keeps_within_its_limit_and_another_sells(tape, monkeypatch):
    monkeypatch.setattr(hands, "CALLS_PER_VENUE_MAX", 3)
    venue, end, begun = outside(), threading.Event(), []
    traders = stops(tape, 6)
    Order.objects.filter(position_id=traders[5].position.id, side=Side.SELL).update(profile="ideal")

    def hangs(request):
        begun.append(request.order_id)
        end.wait(20)

    venue.on_quote = hangs
    drain = Drain(Side.SELL)
    try:
        drain.drain()
        until(lambda: sold() == 1 and len(begun) == 3)
        drain.drain()
        assert traders[5].position.close_reason == "stop_loss"
        assert len(drain.in_hand) == len(begun) == 3
    finally:
        end.set()
    until(lambda: (drain.drain(), sold() == 6)[1])
    until(lambda: not drain.in_hand)
    drain.stop()
    assert len(begun) == len(set(begun)) == 5


def test_orders_for_which_there_was_no_room_are_begun_as_others_end(tape, monkeypatch):
    monkeypatch.setattr(hands, "CALLS_PER_VENUE_MAX", 2)
    monkeypatch.setattr(drains, "SILENCE_SECONDS", 600)
    stops(tape, 7, profile="ideal")
    drain = Drain(Side.SELL)
    drain.start()
    try:
        drain.drain()
        until(lambda: sold() == 7)
        until(lambda: not drain.in_hand)
    finally:
        drain.stop()
    assert check().problems == ()


def test_a_venue_that_cannot_say_what_became_of_an_order_lets_the_others_land(tape, drain, monkeypatch):
    venue = outside(delay_ms=300)
    venue.is_local = True
    bad = stops(tape, 4)[1].position.id
    bad_order = Order.objects.get(position_id=bad, side=Side.SELL).id

    def resolve(request):
        if request.order_id == bad_order:
            raise ValueError("this one")

    monkeypatch.setattr(executor, "seconds_until_due", lambda work: 0.0 if landed.is_set() else 0.3)
    landed = threading.Event()
    threading.Timer(0.2, landed.set).start()
    venue.on_resolve = resolve
    drain.drain()
    until(lambda: sold() == 3)
    until(lambda: not drain.in_hand)
    assert drain.failures == {"ValueError": 1}
    assert Alarm.objects.get(code="ORDER_STUCK", cleared_at=None).subject == str(bad_order)
