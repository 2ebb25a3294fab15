"""How large the cases of the independence proof are and what they are held against.

Small, with bounds for a machine that is busy with other tests; with `INDEPENDENCE=full` in full size against the goals.
Every case notes its figures here: the full run prints all of them at its end.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes and bounds, in seconds unless named."""

    is_full: bool = False
    crowds: int = 1
    """How often a hundred stops are measured alone, and beside a call that hangs."""
    hanging: float = 12
    waiting_signals: int = 200
    valkey_away: float = 6
    postgres_away: float = 8
    price_age: float = 6
    """The oldest price that an exit may rest on in the cases of the feed."""
    begun_max: float = 10.0
    """From the tick to the last call begun."""
    booked_max: float = 11.5
    """From the tick to the last fill booked; in the small size still below what the hanging call takes."""
    waiting_booked_max: float = 11.5
    """The same with entry signals waiting, where only the beginning has a goal."""
    beside_max: float = 8.0
    """How much later than alone the others may be beside a call that hangs."""
    takeover_max: float = 10.0
    """From the end of an engine until another one watches, or books a stop that becomes due with it."""
    valkey_booked_max: float = 5.0
    cause_max: float = 2.5
    """Until readiness names a missing PostgreSQL."""
    back_max: float = 10.0


FULL = Scale(
    is_full=True,
    crowds=3,
    hanging=30,
    waiting_signals=1000,
    valkey_away=60,
    postgres_away=20,
    price_age=30,
    begun_max=0.3,
    booked_max=1.0,
    beside_max=0.1,
    takeover_max=5.0,
    cause_max=2.0,
)
SCALE = FULL if os.environ.get("INDEPENDENCE") == "full" else Scale()


@dataclass(frozen=True, slots=True)
class Figure:
    """Seconds that something took, and how many it may take."""

    name: str
    found: float
    most: float

    @property
    def is_met(self) -> bool:
        return self.found <= self.most

    def __str__(self) -> str:
        return f"{self.name} {self.found:.3f} s (at most {self.most:g}){'' if self.is_met else ' MISSED'}"


@dataclass(frozen=True, slots=True)
class Note:
    """One case as it is told: its figures, or what it found in words, and the load of the machine beside it."""

    case: str
    figures: tuple[Figure, ...]
    words: str
    load: float


NOTES: list[Note] = []


def misses(figures: Sequence[Figure]) -> list[str]:
    """What was not met; a control of a case must find something here."""
    return [str(figure) for figure in figures if not figure.is_met]


def note(case: str, *figures: Figure, words: str = "") -> None:
    """Tell what a case found, before it is judged."""
    NOTES.append(Note(case, figures, words, os.getloadavg()[0]))
    print(f"independence: {case}: " + ", ".join([*map(str, figures), *([words] if words else [])]))
