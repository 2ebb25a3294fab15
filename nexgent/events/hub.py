"""One hub per web process: one Valkey subscription, one reader of the event table, all sockets.

Messages only say that something is new; the table has it. A lost message, or Valkey's absence, costs at most a second:
the hub compares the counters of all followed streams with the table. Prices come by message alone: the newest counts.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

from django.db import Error as DatabaseError

from nexgent.events import limits, registry, selectors
from nexgent.events.connection import Connection, StreamConnection
from nexgent.events.price_board import PriceBoard
from nexgent.events.records import Record, prices
from nexgent.events.seats import Seats
from nexgent.events.streams import Follower, StreamLog
from nexgent.events.subscription import Subscription
from nexgent.events.threads import in_thread

logger = logging.getLogger(__name__)

_YIELD_EVERY = 32


class Hub:
    """The live connections of this process. All methods belong to the event loop's thread."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self.is_closing = False
        self.board = PriceBoard()
        self.logs: dict[UUID, StreamLog] = {}
        self._dirty: set[UUID] = set()
        self._read = asyncio.Event()
        self._priced = asyncio.Event()
        self._failing: set[str] = set()
        self.subscription = Subscription(
            on_events=self.heard, on_prices=self._hear_prices, on_control=self._hear_control, on_connected=self._recheck
        )
        self.seats = Seats()
        work: list[Callable[[], Awaitable[None]]] = [self._deliver_events, self._deliver_prices, self._each_second]
        work.append(self.seats.give_back)
        self._tasks = [asyncio.create_task(self._forever(step)) for step in work]
        self._tasks.append(asyncio.create_task(self.subscription.run()))
        self._healing: set[asyncio.Task[None]] = set()

    # -- connections ------------------------------------------------------------------------------------------------

    def add(self, connection: Connection) -> None:
        """Know a connection from now on; a newer token socket of an agent closes the older one."""
        self.connections.add(connection)
        if connection.is_exclusive:
            self._replace(connection.agent_ids[0], connection.id)

    def remove(self, connection: Connection) -> None:
        """Forget this connection, and no other: the newcomer that replaced it stays."""
        self.connections.discard(connection)
        self.seats.leave(connection.id)
        for follower in connection.followers:
            log = self.logs.get(follower.stream_id)
            if log is not None:
                log.followers.discard(follower)
                if not log.followers:
                    del self.logs[follower.stream_id]
                    self.board.forget(follower.stream_id)
        connection.followers.clear()

    async def seat(self, connection: Connection) -> bool:
        """Whether the principal may have this connection too; the reference's token sockets are counted by agent."""
        return connection.is_exclusive or await self.seats.take(connection.credential.principal.name, connection.id)

    def follow(self, connection: Connection, follower: Follower) -> None:
        """Listen to the follower's stream; nothing is delivered before `place`."""
        connection.followers.append(follower)
        self.logs.setdefault(follower.stream_id, StreamLog(follower.stream_id)).followers.add(follower)

    def place(self, follower: Follower, *, seq: int, held: Iterable[str] = ()) -> None:
        """Deliver what comes behind number `seq`, and the prices of the held mints."""
        log = self.logs.get(follower.stream_id)
        if log is None or follower not in log.followers:
            return  # its socket closed while it opened
        heard = log.newest
        log.place(follower, seq)
        if held or follower.form is None or follower.form.prices is not None:
            self.board.hold(follower.stream_id, held)
        if heard > seq or log.is_behind:
            self._mark([follower.stream_id])

    async def close_all(self, *, code: int, reason: str) -> None:
        """Close every connection with code and reason and refuse new ones."""
        self.is_closing = True
        for connection in list(self.connections):
            connection.outlet.close(code, reason)

    # -- what is heard ----------------------------------------------------------------------------------------------

    def heard(self, pairs: Iterable[tuple[UUID, int]]) -> None:
        """Note the newest numbers of streams; those nobody follows are ignored."""
        behind = []
        for stream_id, seq in pairs:
            log = self.logs.get(stream_id)
            if log is not None and seq > log.newest:
                log.newest = seq
                behind.append(stream_id)
        self._mark(behind)

    def _mark(self, stream_ids: Iterable[UUID]) -> None:
        self._dirty.update(stream_ids)
        if self._dirty:
            self._read.set()

    def _hear_prices(self, at_ms: int, rows: list[list[str | None]]) -> None:
        self.board.take(at_ms, rows)
        self._priced.set()

    def _hear_control(self, facts: dict[str, str]) -> None:
        kind = facts.get("kind")
        if kind == "replaced":
            self._replace(UUID(facts["agentId"]), UUID(facts["by"]))
            return
        for connection in list(self.connections):
            if (kind == "revoke" and facts["key"] in connection.credential.keys) or (
                kind == "sign_out" and str(connection.user_id) == facts["userId"]
            ):
                connection.end("Signed out")

    def _replace(self, agent_id: UUID | None, by: UUID) -> None:
        # By identity and age: two newcomers that hear of each other must not close one another.
        for connection in list(self.connections):
            if connection.is_exclusive and agent_id in connection.agent_ids and connection.id < by:
                connection.outlet.close(1000, "New connection established")

    def _recheck(self) -> None:
        self._mark(self.logs)

    # -- what is delivered ------------------------------------------------------------------------------------------

    async def _deliver_events(self) -> None:
        await self._read.wait()
        self._read.clear()
        streams, self._dirty = self._dirty, set()
        logs = [self.logs[stream_id] for stream_id in streams if stream_id in self.logs]
        positions = {log.stream_id: log.last for log in logs if log.last is not None}
        try:
            records = await in_thread(selectors.events_after, positions)
        except DatabaseError:
            self._mark(streams)
            raise
        await self._hold_anew(records)
        for record in records:
            log = self.logs.get(record.stream_id)
            if log is not None:
                log.take([record])
        for log in logs:
            await self._deliver(log)
        read = {record.stream_id for record in records}
        self._mark([log.stream_id for log in logs if log.stream_id in read and log.newest > (log.last or 0)])

    async def _hold_anew(self, records: list[Record]) -> None:
        # Only what opens or closes a position changes which prices an agent gets; its event says which it is.
        agents = {
            record.stream_id
            for record in records
            if record.type == "position_update" and record.payload.get("eventType") != "position_updated"
        }
        if agents:
            for agent_id, mints in (await in_thread(registry.held_mints, list(agents))).items():
                if agent_id in self.logs:
                    self.board.hold(agent_id, mints)

    async def _deliver(self, log: StreamLog) -> None:
        sent = 0
        for follower in list(log.followers):
            records = log.due(follower)
            if records is None:
                self._heal(follower)
                continue
            for record in records:
                html = await _html(record) if follower.form is None else ""
                if follower.cursor != record.seq - 1:
                    break  # another turn was faster
                follower.cursor = record.seq
                if text := html if follower.form is None else follower.form.event(record):
                    follower.outlet.push(text)
                sent += 1
                if sent % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)

    def _heal(self, follower: Follower) -> None:
        cursor, follower.cursor = follower.cursor, None
        if cursor is not None:
            task = asyncio.create_task(self._heal_one(follower, cursor))
            self._healing.add(task)
            task.add_done_callback(self._healing.discard)

    async def _heal_one(self, follower: Follower, cursor: int) -> None:
        try:
            seq = (await in_thread(selectors.seqs, [follower.stream_id]))[follower.stream_id]
            records = await in_thread(selectors.kept_between, follower.stream_id, cursor, seq)
        except DatabaseError:
            follower.cursor = cursor  # the comparison of the next second finds it again
            return
        if records is None:
            follower.reopen()
            return
        form = follower.form
        texts = [await _html(record) for record in records] if form is None else map(form.event, records)
        await follower.outlet.push_all(texts)
        follower.cursor = seq
        self._mark([follower.stream_id])

    async def _deliver_prices(self) -> None:
        wait = self.board.wait_seconds(time.monotonic())
        if wait != 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._priced.wait(), wait)
        self._priced.clear()
        sent = 0
        for agent_id, at, rows in self.board.due(time.monotonic()):
            log = self.logs.get(agent_id)
            if log is None:
                continue
            text = prices(rows, at)
            html = ""
            if any(follower.is_html for follower in log.followers):
                html = await in_thread(registry.price_html, agent_id, {mint: (sol, usd) for mint, sol, usd in rows})
            for follower in list(log.followers):
                form = follower.form
                if form is None:
                    follower.outlet.price(agent_id, html)
                elif form.prices is not None:
                    follower.outlet.price(agent_id, form.prices(text))
                sent += 1
                if sent % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)

    async def _each_second(self) -> None:
        await asyncio.sleep(limits.HEAL_SECONDS)
        for connection in list(self.connections):
            connection.check()
        await self.seats.renew()
        if self.logs:
            self.heard((await in_thread(selectors.seqs, list(self.logs))).items())
            self._mark([log.stream_id for log in self.logs.values() if log.is_behind])

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        name = step.__name__
        while True:
            try:
                await step()
            except Exception:  # whatever went wrong, the other sockets go on being served
                if name not in self._failing:
                    logger.exception("live connections: %s failed", name)
                self._failing.add(name)
                await asyncio.sleep(0.25)
            else:
                self._failing.discard(name)


async def _html(record: Record) -> str:
    if record.html is None:
        record.html = await in_thread(registry.html, record)
    return record.html


_hub: Hub | None = None


def current() -> Hub:
    """The hub of this process, started by the first connection; call it inside the running event loop."""
    global _hub
    if _hub is None:
        _hub = Hub()
    return _hub


def state() -> dict[str, int | bool]:
    """For health: connections (those of server-sent events also by themselves), followed streams and seats of this
    process, and whether the subscription stands."""
    if _hub is None:
        return {"connections": 0, "sse": 0, "streams": 0, "seats": 0, "subscribed": True}
    return {
        "connections": len(_hub.connections),
        "sse": sum(isinstance(connection, StreamConnection) for connection in _hub.connections),
        "streams": len(_hub.logs),
        "seats": len(_hub.seats),
        "subscribed": _hub.subscription.is_connected,
    }


async def close_all(code: int = 1000, reason: str = "Server shutdown") -> None:
    """Close every socket of this process, for shutdown."""
    if _hub is not None:
        await _hub.close_all(code=code, reason=reason)
