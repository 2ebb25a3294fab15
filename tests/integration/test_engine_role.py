"""Who holds the engine role or beat's place and is silent, loses it; who may have lost it, decides nothing."""

import time
from decimal import Decimal

import psycopg
import pytest
from django.db import connection

from nexgent import clock
from nexgent.held_session import PEER, open_session
from nexgent.runtime.beat import SingleScheduler
from prices import services as prices
from prices.records import PriceTick
from tests.fakes.loopback import until
from tests.trader import Trader
from trading.engine.role import HeldEngine, Role
from trading.models import Order, Purpose, Side

KEY = 0x7E57


def is_free():
    with open_session() as other:
        return other.execute("SELECT pg_try_advisory_lock(%s)", [KEY]).fetchone() == (True,)


@pytest.mark.django_db(transaction=True)
def test_a_session_that_is_silent_for_too_long_ends_with_its_locks():
    with open_session(silence_seconds=0.3) as own, open_session() as patient:
        own.execute("SELECT pg_advisory_lock(%s)", [KEY])
        assert not is_free()

        assert until(is_free)

        with pytest.raises(psycopg.errors.IdleSessionTimeout):
            own.execute("SELECT 1")
        assert patient.execute("SHOW idle_session_timeout").fetchone() == ("0",)


def test_a_word_to_a_server_that_cannot_be_reached_fails_as_soon_as_it_ends_the_session():
    assert PEER["tcp_user_timeout"] == 3000
    assert PEER["keepalives_idle"] + PEER["keepalives_interval"] * PEER["keepalives_count"] <= 3


@pytest.mark.django_db(transaction=True)
def test_a_role_whose_session_was_ended_steps_down_within_a_second_and_is_taken_again(settings):
    settings.PRICE_FEEDS = ()
    role = Role(is_standby=False)
    role.start()
    try:
        assert until(lambda: role.engine is not None)
        before = role.engine
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        ended = time.monotonic()
        assert until(lambda: role.engine is not before)
        assert time.monotonic() - ended <= 1.0
        assert until(lambda: role.engine is not None)
        assert before._threads[0].is_alive() is False
    finally:
        role.stop()


@pytest.fixture
def stand_in(settings, monkeypatch):
    """The role of an exits process that took it over, quick of patience; what it was told, in order."""
    settings.PRICE_FEEDS = ()
    monkeypatch.setattr("trading.engine.role.TRY_SECONDS", 0.05)
    monkeypatch.setattr("trading.engine.role.PATIENCE_SECONDS", 0.1)
    told = []
    role = Role(is_standby=True, on_active=lambda: told.append("active"), on_passive=lambda: told.append("passive"))
    role.start()
    assert until(lambda: told == ["active"])
    yield role, told
    role.stop()


@pytest.mark.django_db(transaction=True)
def test_a_role_that_was_taken_over_is_given_back_to_a_prices_process_that_waits(stand_in, monkeypatch):
    monkeypatch.setattr("trading.engine.role.GIVE_BACK_SECONDS", 0.3)
    role, told = stand_in
    owner = Role(is_standby=False)
    begun = time.monotonic()
    owner.start()
    try:
        assert until(lambda: owner.engine is not None)
        assert time.monotonic() - begun >= 0.3
        assert role.engine is None
        assert until(lambda: told == ["active", "passive"])

        time.sleep(0.5)  # the one that gave it back is patient again, though it once saw nobody
        assert (owner.engine is not None, role.engine) == (True, None)
    finally:
        owner.stop()
    assert until(lambda: told == ["active", "passive", "active"])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("waits_standing_by", "give_back_s"), [(True, 0.0), (False, 30.0)])
def test_a_role_is_not_given_back_to_another_exits_process_nor_at_once(
    stand_in, monkeypatch, waits_standing_by, give_back_s
):
    monkeypatch.setattr("trading.engine.role.GIVE_BACK_SECONDS", give_back_s)
    role, told = stand_in
    other = Role(is_standby=waits_standing_by)
    other.start()
    time.sleep(0.7)
    other.stop()
    assert (role.engine is not None, told) == (True, ["active"])


@pytest.mark.django_db(transaction=True)
def test_feeds_that_take_long_to_start_cost_no_role(settings, monkeypatch):
    settings.PRICE_FEEDS = ()
    monkeypatch.setattr("trading.engine.role.SILENCE_SECONDS", 0.4)
    monkeypatch.setattr("trading.engine.role.TRY_SECONDS", 0.05)
    begun, start = [], prices.start_feeds

    def slow():
        begun.append(time.monotonic())
        time.sleep(1.2)
        return start()

    monkeypatch.setattr("trading.engine.role.prices.start_feeds", slow)
    role = Role(is_standby=False)
    role.start()
    try:
        assert until(lambda: bool(begun) and role.engine is not None)
        engine = role.engine
        assert until(lambda: prices._station is not None)
        assert role.engine is engine
    finally:
        role.stop()
    assert len(begun) == 1
    assert prices._station is None


@pytest.mark.django_db(transaction=True)
def test_an_engine_that_may_have_lost_its_role_decides_nothing_until_it_knows(tape):
    trader = Trader.with_position(tape)
    engine = HeldEngine()
    engine.step()

    engine.held_since(time.monotonic() - 3.0)
    engine.offer([PriceTick(trader.mint, Decimal("0.0001"), clock.now(), "test")])
    assert engine.step() == 0
    assert Order.objects.filter(side=Side.SELL).count() == 0

    engine.held_since(time.monotonic())
    assert engine.step() == 1
    assert Order.objects.get(side=Side.SELL).purpose == Purpose.STOP_LOSS


@pytest.mark.django_db(transaction=True)
def test_a_beat_that_was_frozen_asks_for_its_place_before_it_sends_anything(monkeypatch):
    monkeypatch.setattr("nexgent.runtime.beat.SILENCE_SECONDS", 0.3)
    first, second = (SingleScheduler.__new__(SingleScheduler) for _ in range(2))
    try:
        assert (first._is_active(), second._is_active()) == (True, False)
        assert until(second._is_active)

        assert (first._is_active(), first._is_active(), second._is_active()) == (False, False, True)
    finally:
        for scheduler in (first, second):
            if scheduler._session is not None:
                scheduler._session.close()
