"""The clock that services pass to the rules.

Product code asks `clock.now()` and never the operating system, so that a replay can own time. A tape's clock lives in
an 8-byte file shared by all processes of the replay (`NEXGENT_CLOCK=tape:PATH`): milliseconds since 1970, UTC.
"""

import mmap
import os
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_ms(milliseconds: int) -> datetime:
    """The UTC time of unix milliseconds, exact."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_ms(at: datetime) -> int:
    """Unix milliseconds of a UTC time, rounded down."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class TapeClock:
    """A replay's time, shared between processes through a small file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            self.path.write_bytes(struct.pack("<q", 0))
        with self.path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 8)

    def set(self, at: datetime) -> None:
        self._memory[:8] = struct.pack("<q", to_ms(at))

    def now(self) -> datetime:
        return from_ms(struct.unpack("<q", self._memory[:8])[0])


def _configured() -> SystemClock | TapeClock:
    kind, _, path = os.environ.get("NEXGENT_CLOCK", "").partition(":")
    return TapeClock(path) if kind == "tape" else SystemClock()


clock: SystemClock | TapeClock = _configured()


def now() -> datetime:
    """The current time, aware, UTC."""
    return clock.now()
