"""Threads for calls: a venue's limit, a hanging call, what comes later; entries that hold off; priorities."""

import subprocess
import sys
import threading
import time

import pytest

from trading.engine import calls as calls_module
from trading.engine import drains, way
from trading.engine.calls import Calls
from trading.engine.lanes import Lane
from trading.models import Side

PRIORITIES = """
import os, threading
from pathlib import Path
os.environ["NEXGENT_ENV"] = "test"
from trading.engine import interpreter
stop = threading.Event()
threading.Thread(target=stop.wait, daemon=True).start()
interpreter.tune("{kind}")
threading.Thread(target=stop.wait, daemon=True).start()
tasks = [int(path.name) for path in Path("/proc/self/task").glob("[0-9]*")]
print(sorted({{os.getpriority(os.PRIO_PROCESS, task) for task in tasks}}))
"""


def until(condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_a_venue_has_so_many_calls_at_once_and_another_does_not_wait_for_it():
    calls, end, begun, other = Calls("test", threads=8, most=3), threading.Event(), [], threading.Event()

    def hangs(number):
        begun.append(number)
        end.wait(10)

    for number in range(5):
        calls.venue("slow", lambda number=number: hangs(number))
    calls.venue("quick", other.set)
    until(lambda: len(begun) == 3 and other.is_set())
    time.sleep(0.05)
    assert (sorted(begun), calls.running("slow")) == ([0, 1, 2], 3)

    end.set()
    until(lambda: calls.running("slow") == 0)
    calls.stop()
    assert sorted(begun) == [0, 1, 2, 3, 4]


def test_what_fails_gives_its_place_back():
    calls, done = Calls("test", threads=2, most=1), threading.Event()

    def fails():
        raise ValueError("this call")

    calls.venue("slow", fails)
    calls.venue("slow", done.set)

    assert done.wait(5)
    calls.stop()


def test_no_more_threads_work_than_are_needed_and_idle_ones_end(monkeypatch):
    monkeypatch.setattr(calls_module, "IDLE_SECONDS", 0.2)
    calls, seen, both = Calls("few", threads=8), [], threading.Barrier(2, timeout=5)

    def names():
        return {thread.name for thread in threading.enumerate() if thread.name.startswith("few-call")}

    for number in range(20):
        calls.alone(lambda number=number: seen.append((number, threading.current_thread().name)))
        until(lambda number=number: len(seen) == number + 1)
        time.sleep(0.005)
    assert seen == [(number, "few-call-0") for number in range(20)]

    for _ in range(2):
        calls.alone(both.wait)
    until(lambda: len(names()) == 2)
    until(lambda: not names())
    calls.alone(lambda: seen.append((20, "")))
    until(lambda: len(seen) == 21)
    calls.stop()


def test_beyond_its_threads_work_waits_and_none_is_lost_or_done_twice():
    calls, seen = Calls("busy", threads=3), []
    for number in range(300):
        calls.alone(lambda number=number: seen.append(number))

    until(lambda: len(seen) == 300)
    calls.stop()
    calls.alone(lambda: seen.append("after the end"))
    time.sleep(0.02)

    assert sorted(seen) == list(range(300))


def no_thread(monkeypatch, *, times):
    """The system refuses to start a thread so often; returns the names of the threads that were refused."""
    refused, start = [], threading.Thread.start

    def starts_later(thread):
        if len(refused) < times:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starts_later)
    return refused


def test_work_that_gets_no_thread_waits_for_the_next_one(monkeypatch):
    calls, seen = Calls("scarce", threads=2, most=2), []
    calls.start()
    refused = no_thread(monkeypatch, times=3)
    for number in range(5):
        calls.alone(lambda number=number: seen.append(number))

    until(lambda: len(seen) == 5)
    calls.stop()
    assert (len(refused), sorted(seen)) == (3, [0, 1, 2, 3, 4])


def test_the_only_work_that_gets_no_thread_asks_for_one_again(monkeypatch):
    monkeypatch.setattr(calls_module, "AGAIN_SECONDS", 0.01)
    calls, done = Calls("alone", threads=2), threading.Event()
    calls.start()
    refused = no_thread(monkeypatch, times=2)

    calls.alone(done.set)

    assert done.wait(5)
    calls.stop()
    assert refused == ["alone-call-0", "alone-call-1"]


def test_a_lane_that_gets_no_thread_takes_nothing_and_begins_when_it_gets_one(monkeypatch):
    seen = []
    lane = Lane("lane", [seen.extend], most=5)
    no_thread(monkeypatch, times=1)

    with pytest.raises(RuntimeError, match="can't start"):
        lane.put(0, ["refused"])
    lane.put(0, ["taken"])

    until(lambda: seen == ["taken"])
    lane.stop()


@pytest.mark.parametrize("times", [1, 2, 3, 4, 5])
def test_a_drain_that_lacks_one_of_its_threads_claims_nothing_and_is_made_anew(monkeypatch, times):
    refuse_at = iter(range(1, 100))
    start = threading.Thread.start

    def refuses_one(thread):
        if next(refuse_at) == times:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(drains, "_drains", {})
    monkeypatch.setattr(threading.Thread, "start", refuses_one)

    with pytest.raises(RuntimeError, match="can't start"):
        drains.drain_of(Side.SELL)
    assert drains._drains == {}

    assert drains.drain_of(Side.SELL) is drains.drain_of(Side.SELL)
    drains.stop_all()


def test_what_is_due_and_fails_keeps_nothing_else_from_its_time(caplog):
    calls, done = Calls("test", threads=1), threading.Event()

    calls.after(0, lambda: 1 // 0)
    calls.after(0.01, done.set)

    assert done.wait(5)
    calls.stop()
    assert "what was due failed" in caplog.text


def test_what_comes_later_comes_in_the_order_of_its_time():
    calls, seen = Calls("test", threads=1), []
    for seconds in (0.06, 0.02, 0.04):
        calls.after(seconds, lambda seconds=seconds: seen.append(seconds))

    until(lambda: len(seen) == 3)
    calls.stop()

    assert seen == [0.02, 0.04, 0.06]


def test_entries_hold_off_for_a_crowd_of_exits_and_at_most_half_of_the_time(monkeypatch):
    monkeypatch.setattr(way, "_until", 0.0)
    monkeypatch.setattr(way, "_free_until", 0.0)
    begun = time.monotonic()
    way.give()
    assert time.monotonic() - begun < 0.02

    way.hear(50)
    way.hear(1000)
    way.give()
    held = time.monotonic() - begun
    way.hear(1000)
    way.give()

    assert 0.13 < held < 0.3
    assert time.monotonic() - begun - held < 0.05


def test_entries_and_default_work_at_a_lower_priority_with_all_their_threads():
    def priorities(kind):
        done = subprocess.run(
            [sys.executable, "-c", PRIORITIES.format(kind=kind)], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    before = priorities("web")
    assert [priorities(kind) for kind in ("exits", "prices")] == [before, before]
    assert [priorities(kind) for kind in ("entries", "default")] == ["[5]", "[5]"]
