"""What an agent's verdicts look like in answers."""

from typing import Literal

from nexgent.api.shapes import Mint, Stamp
from signals.shapes import ExecutionShape


class VerdictShape(ExecutionShape):
    """An execution with the signal it answers."""

    signal_id: int
    signal_type: str
    signal_strength: int
    side: Literal["buy", "sell"]
    token_address: Mint
    symbol: str | None
    external_ref: str | None
    dry_run: bool
    time: Stamp
