"""Who goes first: others wait for it, but never for ever, and the engine says in time that it is at work."""

import threading
import time
from decimal import Decimal

import pytest

from nexgent import clock
from prices.records import PriceTick
from trading.engine.threads import Precedence
from trading.engine.watch import Engine


def waited(precedence, seconds):
    begun = time.monotonic()
    precedence.wait(begun + seconds)
    return time.monotonic() - begun


def test_nobody_waits_while_the_first_one_is_idle():
    precedence = Precedence()
    assert waited(precedence, 5.0) < 1.0
    precedence.take()
    precedence.give_back()
    assert waited(precedence, 5.0) < 1.0


def test_others_wait_until_the_first_one_is_done():
    precedence = Precedence()
    precedence.take()
    threading.Timer(0.2, precedence.give_back).start()
    assert 0.1 < waited(precedence, 5.0) < 2.0


def test_a_first_one_that_never_ends_is_waited_for_only_so_long():
    precedence = Precedence()
    precedence.take()
    assert 0.1 <= waited(precedence, 0.1) < 1.0
    assert waited(precedence, -1.0) < 0.05


def test_an_engine_goes_first_from_the_tick_on_that_wakes_it_until_its_round_is_over(monkeypatch):
    engine = Engine()
    engine._is_running = True
    seen = []
    monkeypatch.setattr(engine, "_round", lambda: seen.append(waited(engine.book.precedence, 0.1)) or 7)
    engine.offer([PriceTick("So11111111111111111111111111111111111111112", Decimal("0.001"), clock.now(), "test")])
    assert waited(engine.book.precedence, 0.1) >= 0.1
    assert engine.step() == 7
    assert seen[0] >= 0.1
    assert waited(engine.book.precedence, 5.0) < 1.0


def test_an_engine_that_was_not_started_checks_its_book_without_waiting_for_itself(monkeypatch):
    engine = Engine()
    waits = []
    monkeypatch.setattr(engine.book, "differing", lambda: waits.append(waited(engine.book.precedence, 5.0)) or set())
    monkeypatch.setattr(engine, "_round", lambda: 0)
    engine.offer([])
    engine.step()
    assert len(waits) == 1
    assert waits[0] < 1.0


def test_a_round_that_fails_keeps_nobody_waiting(monkeypatch):
    engine = Engine()
    engine._is_running = True

    def broken():
        raise KeyError("round")

    monkeypatch.setattr(engine, "_round", broken)
    with pytest.raises(KeyError):
        engine.step()
    assert waited(engine.book.precedence, 5.0) < 1.0
