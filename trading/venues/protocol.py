"""What a venue is: where orders execute. Simulated now, Jupiter and an exchange simulator later, behind one protocol."""

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from nexgent.money import text


@dataclass(frozen=True, slots=True)
class Request:
    """What to trade: lamports in for a buy, token units in for a sell; `price` is the tick the decision rests on."""

    order_id: UUID
    is_buy: bool
    mint: str
    decimals: int
    amount: int
    price: Decimal
    price_at: datetime
    seed: int
    liquidity_lamports: int | None
    """Depth of the SOL side of the pool; unknown: None."""
    closes_account: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """A venue's answer: exact amounts, fees in lamports, impact as a fraction (never a percent)."""

    amount_in: int
    amount_out: int
    price_impact: Decimal
    protocol_fee_lamports: int = 0
    network_fee_lamports: int = 0
    rent_lamports: int = 0
    delay_ms: int = 0
    outcome: str = "ok"

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"price_impact": text(self.price_impact)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Quote":
        return cls(**(data | {"price_impact": Decimal(data["price_impact"])}))


class Venue(Protocol):
    """Quotes and executes. `is_local`: nothing leaves the process, so an immediate order can be one transaction."""

    is_local: bool

    def quote(self, request: Request) -> Quote:
        """Raises `Refusal` when the venue does not trade this now."""
        ...

    def submit(self, request: Request, quote: Quote) -> None:
        """Send the order; the durable row says `submitted` before this is called."""
        ...

    def resolve(self, request: Request, quote: Quote) -> Quote:
        """What became of a submitted order, called once it is due; raises `Refusal` when it failed for good."""
        ...
