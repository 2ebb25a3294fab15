"""Followers of streams and the recent events between them and the table. No I/O here.

Next number: send. Old number: drop. A number further on: a gap, which the hub fills from the table.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from nexgent.events import limits
from nexgent.events.outlet import Outlet
from nexgent.events.records import Record


@dataclass(frozen=True, slots=True)
class Form:
    """How a follower wants its stream written; `prices` turns the JSON message of a batch into text, None: no prices.

    `event` is called when the event's turn has come and no other text is sent before it.
    """

    event: Callable[[Record], str]
    prices: Callable[[str], str] | None


FRAMES = Form(lambda record: record.frame, lambda text: text)
"""The JSON messages of the agent socket."""


@dataclass(eq=False, slots=True)
class Follower:
    """One client's place in one stream. `cursor` is the last number it was sent; None while it opens."""

    stream_id: UUID
    outlet: Outlet
    reopen: Callable[[], None]  # called when events it needs are no longer kept
    form: Form | None = FRAMES  # None: HTML, which is rendered beside the event loop
    cursor: int | None = None

    @property
    def is_html(self) -> bool:
        return self.form is None


@dataclass(eq=False, slots=True)
class StreamLog:
    """What this process knows of one stream that somebody follows."""

    stream_id: UUID
    followers: set[Follower] = field(default_factory=set)
    last: int | None = None  # the highest number read from the table; None until the first follower has opened
    newest: int = 0  # the highest number heard of
    recent: deque[Record] = field(default_factory=lambda: deque(maxlen=limits.RING))

    def place(self, follower: Follower, seq: int) -> None:
        """Start delivery behind number `seq`."""
        follower.cursor = seq
        self.newest = max(self.newest, seq)
        if self.last is None:
            self.last = seq

    @property
    def is_behind(self) -> bool:
        """Whether the table has more, or a follower was not given all there is."""
        if self.last is None:
            return False
        last = self.last
        return self.newest > last or any(f.cursor is not None and f.cursor < last for f in self.followers)

    def take(self, records: Sequence[Record]) -> None:
        """Keep events read from the table; numbers already known are dropped, a hole empties the ring."""
        for record in records:
            if self.last is not None and record.seq <= self.last:
                continue
            if self.recent and record.seq != self.recent[-1].seq + 1:
                self.recent.clear()
            self.recent.append(record)
            self.last = record.seq
        self.newest = max(self.newest, self.last or 0)

    def due(self, follower: Follower) -> list[Record] | None:
        """What the follower gets next, in order; None when the ring does not reach back to its place."""
        cursor = follower.cursor
        if cursor is None or self.last is None or cursor >= self.last:
            return []
        if not self.recent or self.recent[0].seq > cursor + 1:
            return None
        return list(self.recent)[cursor + 1 - self.recent[0].seq :]
