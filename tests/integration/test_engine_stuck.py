"""Positions that cannot be decided on: told, and no longer told within half a minute after they were mended."""

import pytest

from agents import selectors as agents
from nexgent.events.models import Alarm
from tests.trader import Trader
from trading import services as trading
from trading import tasks
from trading.models import Position, Watermark
from trading.rules import decide as rules
from trading.rules import vector


@pytest.fixture
def trader(tape):
    return Trader.with_position(tape)


def is_told(trader):
    """After the look at stuck things that beat asks for twice a minute."""
    tasks.untradable()
    return Alarm.objects.filter(code="POSITION_STUCK", subject=str(trader.position.id), cleared_at=None).exists()


def look_again(trader):
    trader.engine.check()
    trader.engine.step()


def break_rules(trader):
    Position.objects.filter(id=trader.position.id).update(override={"stopLoss": {"mode": "nonsense"}}, version=99)
    look_again(trader)


def fails(*_, **__):
    raise ValueError("this one")


def test_an_override_that_a_person_takes_off_ends_the_alarm_and_the_position_is_watched_again(trader):
    break_rules(trader)
    assert is_told(trader)
    assert len(trader.engine.book) == 0

    trading.position_override(position_id=trader.position.id, override=None)
    assert not is_told(trader)
    look_again(trader)

    assert len(trader.engine.book) == 1
    trader.price("0.0001")
    assert trader.position.close_reason == "stop_loss"


def test_a_position_that_cannot_be_decided_on_is_told_until_it_is_decided_that_nothing_is_due(trader, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(rules, "decide", fails)
        trader.price("0.0001")
        assert is_told(trader)

    assert is_told(trader)  # its stop is due: that it is sold will show that it can be
    look_again(trader)
    trader.settle()

    assert trader.position.close_reason == "stop_loss"
    assert not is_told(trader)


def test_a_position_whose_price_came_back_is_decided_on_again(trader, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(rules, "decide", fails)
        trader.price("0.0001")
        trader.wait(1)
        trader.price("0.00099")
        assert is_told(trader)

    assert not is_told(trader)


@pytest.mark.parametrize("seconds", [30, 31])
def test_without_a_price_that_may_be_decided_on_reading_the_rules_is_enough(trader, monkeypatch, seconds):
    with monkeypatch.context() as patch:
        patch.setattr(rules, "decide", fails)
        trader.price("0.0001")
        trader.wait(seconds)

        assert is_told(trader) is (seconds == 30)


def test_a_position_whose_override_cannot_be_read_is_closed_by_hand(trader):
    break_rules(trader)
    assert is_told(trader)

    trading.position_close(position_id=trader.position.id, principal="test")
    trader.settle()

    assert trader.position.close_reason == "manual"
    assert not is_told(trader)


def test_a_position_whose_configuration_cannot_be_read_is_closed_by_hand(trader, monkeypatch):
    def unreadable(data):
        raise KeyError("stopLoss")

    monkeypatch.setattr(agents, "compile_policy", unreadable)
    monkeypatch.setattr(agents, "_policies", agents.OrderedDict())
    Position.objects.filter(id=trader.position.id).update(version=99)
    look_again(trader)
    assert is_told(trader)

    trading.position_close(position_id=trader.position.id, principal="test")
    trader.settle()

    assert trader.position.close_reason == "manual"
    assert not is_told(trader)


def test_a_broken_position_without_a_price_stays_told(trader):
    break_rules(trader)
    trader.wait(31)

    assert is_told(trader)


def lose_watermark(trader):
    Watermark.objects.filter(position_id=trader.position.id).delete()
    Position.objects.filter(id=trader.position.id).update(version=99)


@pytest.mark.parametrize("has_price", [True, False])
def test_a_position_without_its_watermark_is_told_until_it_has_one_and_the_others_are_watched(tape, has_price):
    # given two traders whose positions one engine watches, one of them without the row of its peak and stop
    broken, other = Trader.with_position(tape), Trader.with_position(tape)
    mark = Watermark.objects.get(position_id=broken.position.id)
    lose_watermark(broken)
    if not has_price:
        broken.wait(31)

    # when the engine reads it again, and a price comes at which the stop of the other is due
    look_again(other)
    assert list(other.engine.book.states()) == [other.position.id]
    other.price("0.0001")

    # then the other is sold, and the alarm ends when the row is back
    assert other.position.close_reason == "stop_loss"
    assert is_told(broken)
    mark.save(force_insert=True)
    if has_price:
        broken.price("0.001")
    look_again(broken)
    assert not is_told(broken)
    assert list(broken.engine.book.states()) == [broken.position.id]


def test_a_row_that_fails_midway_leaves_the_book_as_if_it_had_never_been_there(trader, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(vector, "fill", fails)
        Position.objects.filter(id=trader.position.id).update(version=99)
        look_again(trader)
        assert Alarm.objects.filter(code="POSITION_STUCK", subject=str(trader.position.id)).exists()
        assert (len(trader.engine.book), trader.engine.book.mints()) == (0, [])

    look_again(trader)
    trader.price("0.0001")

    assert trader.position.close_reason == "stop_loss"
