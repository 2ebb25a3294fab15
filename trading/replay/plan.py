"""What to replay: tape, configuration, venue profile, seed, limits."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents import config as trading_config
from nexgent import money
from prices.feeds import replay, synthetic
from prices.records import PriceTick

SYNTHETIC_STEPS = 20_000


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `tape` None is the synthetic market of `seed`; `config` is partial, in wire names."""

    tape: Path | None
    config: dict[str, Any] = field(default_factory=dict)
    profile: str = "ideal"
    seed: int = 1
    reentry_seconds: int = 3600
    liquidity_sol: int = 1000
    limit: int | None = None

    @property
    def name(self) -> str:
        return f"synthetic:{self.seed}" if self.tape is None else self.tape.name

    @property
    def depth_lamports(self) -> int:
        return self.liquidity_sol * money.LAMPORTS_PER_SOL

    def ticks(self) -> Iterator[PriceTick]:
        """The tape's ticks in order; `limit` counts candles (or rows), of the synthetic market ticks."""
        if self.tape is None:
            return synthetic.tape(self.seed, steps=self.limit or SYNTHETIC_STEPS)
        return replay.ticks(self.tape, self.limit)

    def full_config(self) -> dict[str, Any]:
        """The complete configuration. Raises InvalidConfig."""
        data = trading_config.merge(trading_config.DEFAULTS, self.config)
        trading_config.parse(data)
        return data
