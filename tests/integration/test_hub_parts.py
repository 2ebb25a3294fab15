"""The parts of the hub that hold no sockets: ring and cursors of a stream, board of prices, queue of a client."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nexgent.errors import InvalidInput
from nexgent.events import hub, limits
from nexgent.events.connection import AgentConnection, StreamConnection
from nexgent.events.outlet import Outlet
from nexgent.events.price_board import PriceBoard
from nexgent.events.records import Record
from nexgent.events.sse import places_of
from nexgent.events.streams import Follower, StreamLog
from nexgent.events.transport import _frame

AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
STREAM = uuid.UUID(int=1)
ONE, TWO = uuid.UUID(int=11), uuid.UUID(int=12)


def record(seq: int) -> Record:
    return Record(STREAM, seq, "note", "{}", AT)


def follower(log: StreamLog, cursor: int) -> Follower:
    one = Follower(STREAM, cast(Any, SimpleNamespace()), lambda: None)
    log.followers.add(one)
    log.place(one, cursor)
    return one


def numbers(records: list[Record] | None) -> list[int] | None:
    return None if records is None else [record.seq for record in records]


def test_next_is_sent_old_is_dropped() -> None:
    log = StreamLog(STREAM)
    early, late = follower(log, 3), follower(log, 5)
    log.take([record(seq) for seq in (4, 5, 6)])
    log.take([record(5), record(6), record(7)])
    assert numbers(log.due(early)) == [4, 5, 6, 7]
    assert numbers(log.due(late)) == [6, 7]


def test_a_follower_behind_the_ring_is_a_gap() -> None:
    log = StreamLog(STREAM)
    one = follower(log, 0)
    log.take([record(seq) for seq in range(1, limits.RING + 3)])
    assert log.due(one) is None
    assert log.is_behind
    assert numbers(log.due(follower(log, 2))) == list(range(3, limits.RING + 3))


def test_a_hole_in_what_was_read_empties_the_ring() -> None:
    log = StreamLog(STREAM)
    one = follower(log, 0)
    log.take([record(1), record(2), record(5)])
    assert log.due(one) is None
    assert numbers([*log.recent]) == [5]


def test_an_opening_follower_gets_nothing() -> None:
    log = StreamLog(STREAM)
    opening = Follower(STREAM, cast(Any, SimpleNamespace()), lambda: None)
    log.followers.add(opening)
    log.newest = 4
    assert log.due(opening) == []
    assert not log.is_behind


def test_each_agent_gets_its_mints_once_and_then_five_times_a_second() -> None:
    # given two agents
    board = PriceBoard()
    board.hold(ONE, ["a", "b"])
    board.hold(TWO, ["b"])
    # when
    board.take(1000, [["a", "1", None], ["b", "2", "300"], ["c", "3", None]])
    first = {agent: rows for agent, _, rows in board.due(0.0)}
    board.take(1100, [["b", "2.5", "375"]])
    early, wait = board.due(0.1), board.wait_seconds(0.1)
    later = {agent: (at.timestamp(), rows) for agent, at, rows in board.due(0.2)}
    # then
    assert first == {ONE: [("a", "1", None), ("b", "2", "300")], TWO: [("b", "2", "300")]}
    assert early == []
    assert wait == pytest.approx(0.1)
    assert later == {agent: (1.1, [("b", "2.5", "375")]) for agent in (ONE, TWO)}
    assert board.wait_seconds(0.2) is None


@pytest.mark.parametrize(
    ("at_ms", "price"), [(999, "7"), (1000, "2"), (1001, "NaN"), (1001, "1e5"), (1001, ""), (1001, "-1"), (1001, "01")]
)
def test_older_equal_and_malformed_prices_are_dropped(at_ms: int, price: str) -> None:
    board = PriceBoard()
    board.hold(ONE, ["b"])
    board.take(1000, [["b", "2", None]])
    board.due(0.0)
    board.take(at_ms, [["b", price, None]])
    assert board.due(1.0) == []


def test_what_is_no_longer_held_is_not_sent() -> None:
    board = PriceBoard()
    board.hold(ONE, ["a", "b"])
    board.take(1, [["a", "1", None], ["b", "2", None]])
    board.hold(ONE, ["b"])
    assert [rows for _, _, rows in board.due(0.0)] == [[("b", "2", None)]]
    board.forget(ONE)
    board.take(2, [["b", "3", None]])
    assert board.due(9.0) == []


class Wire:
    """A client that takes texts until it is told to be slow."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.closed: tuple[int, str] | None = None

    def watch(self, *, on_pause: Callable[[], None], on_resume: Callable[[], None]) -> None:
        self.pause, self.resume = on_pause, on_resume

    def write(self, text: str) -> None:
        self.taken.append(text)

    def close(self, *, code: int, reason: str) -> None:
        self.closed = (code, reason)


async def test_a_slow_client_keeps_all_events_and_the_newest_price_of_each_agent() -> None:
    wire = Wire()
    outlet = Outlet(wire)
    outlet.push("a")
    wire.pause()
    for text in ("b", "c"):
        outlet.push(text)
    outlet.price(ONE, "1")
    outlet.price(TWO, "2")
    outlet.price(ONE, "3")
    assert wire.taken == ["a"]
    # when it takes again
    wire.resume()
    assert wire.taken == ["a", "b", "c", "3", "2"]
    assert outlet.behind_seconds() == 0


async def test_a_client_that_is_behind_for_too_long_is_closed_and_gets_nothing_more(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(limits, "BURST_SECONDS", -1.0)
    wire = Wire()
    outlet = Outlet(wire)
    wire.pause()
    outlet.push("x" * limits.BEHIND_BYTES)
    assert wire.closed is None
    outlet.push("x")
    outlet.push("y")
    assert wire.closed == (1013, "Too slow")
    assert wire.taken == []
    assert outlet.ended.is_set()


async def test_a_close_sends_what_is_queued_first_and_only_once() -> None:
    wire = Wire()
    outlet = Outlet(wire)
    wire.pause()
    outlet.push("a")
    outlet.close(1008, "Signed out")
    outlet.close(1000, "again")
    assert wire.taken == ["a"]
    assert wire.closed == (1008, "Signed out")


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (5, b"\x81\x05"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (70_000, b"\x81\x7f" + (70_000).to_bytes(8, "big")),
    ],
)
def test_a_text_frame_is_that_of_the_standard(size: int, head: bytes) -> None:
    assert _frame("x" * size) == head + b"x" * size


def test_a_place_of_several_streams_is_read_back_and_strangers_are_left_out() -> None:
    one, two = "AAAAAAAAAAAAAAAAAAAACw", "AAAAAAAAAAAAAAAAAAAADA"
    assert places_of(f"{one}:4,{two}:0,AAAAAAAAAAAAAAAAAAAAAA:9", [ONE, TWO], is_single=False) == {ONE: 4, TWO: 0}
    assert places_of("7", [ONE], is_single=True) == {ONE: 7}
    assert places_of("", [ONE], is_single=True) == {}


@pytest.mark.parametrize("text", ["x", "-1", "1:2", "99999999999999999999", "٣"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        places_of(text, [ONE], is_single=True)


def test_a_process_tells_its_streams_from_its_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    outlet, credential = SimpleNamespace(), SimpleNamespace(user_id=ONE, way="bearer")
    socket = AgentConnection(cast(Any, outlet), cast(Any, credential), agent_id=STREAM)
    streams = [StreamConnection(cast(Any, outlet), cast(Any, credential)) for _ in range(2)]
    subscription = SimpleNamespace(is_connected=True)
    live = SimpleNamespace(connections={socket, *streams}, logs={}, seats=(), subscription=subscription)
    assert hub.state()["sse"] == 0
    monkeypatch.setattr(hub, "_hub", live)
    assert hub.state() == {"connections": 3, "sse": 2, "streams": 0, "seats": 0, "subscribed": True}
