"""The result of a replay: trades, decisions and their hash, equity; the same shape from both loops."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

START_LAMPORTS = 100_000_000_000
"""100 SOL."""


@dataclass(frozen=True, slots=True, order=True)
class Decision:
    """One decision as it was made. The order of the fields is the order of the lines that are hashed."""

    tick_ms: int
    position: int
    rule: str
    ordinal: int
    reason: str
    units: int
    lamports: int

    def line(self) -> str:
        return f"{self.tick_ms}|{self.position}|{self.rule}|{self.reason}|{self.units}|{self.lamports}\n"


@dataclass(frozen=True, slots=True)
class ReplayTrade:
    """One closed position."""

    opened_at_ms: int
    closed_at_ms: int
    cost_lamports: int
    received_lamports: int
    realised_lamports: int
    close_reason: str
    dca_count: int
    levels_hit: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay prints as JSON."""

    tape: str
    config_version: str
    profile: str
    through: str
    ticks: int
    seconds: float
    trades: Sequence[ReplayTrade]
    decisions: Sequence[Decision]
    equity_lamports: int
    books: dict[str, Any] = field(default_factory=dict)

    def wire(self) -> dict[str, Any]:
        """The JSON of `manage.py replay --json`."""
        return {
            "tape": self.tape,
            "config_version": self.config_version,
            "profile": self.profile,
            "through": self.through,
            "ticks": self.ticks,
            "seconds": round(self.seconds, 3),
            "trades": [asdict(trade) for trade in self.trades],
            "decisions": len(self.decisions),
            "decision_hash": decision_hash(self.decisions),
            "pnl_lamports": self.equity_lamports - START_LAMPORTS,
            "equity_lamports": self.equity_lamports,
            "books": self.books,
        }


def decision_hash(decisions: Iterable[Decision]) -> str:
    """SHA-256 over the decisions' lines in the order of time, position, rule and ordinal."""
    digest = hashlib.sha256()
    for decision in sorted(decisions):
        digest.update(decision.line().encode())
    return digest.hexdigest()


def config_version(data: Any) -> str:
    """A name for a configuration: the start of the SHA-256 of its canonical text."""
    return hashlib.sha256(repr(sorted(_flat(data))).encode()).hexdigest()[:12]


def _flat(data: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(data, dict):
        return [item for key, value in data.items() for item in _flat(value, f"{path}.{key}")]
    if isinstance(data, list):
        return [item for index, value in enumerate(data) for item in _flat(value, f"{path}.{index}")]
    return [(path, str(data))]
