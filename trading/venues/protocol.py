"""What a venue is: where orders execute. Simulated now, Jupiter and an exchange simulator later, behind one
protocol.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from nexgent.money import text
from trading.rules.market import Outcome, Quote


@dataclass(frozen=True, slots=True)
class Request:
    """What to trade: lamports in for a buy, token units in for a sell, at the newest price known."""

    order_id: UUID
    is_buy: bool
    mint: str
    decimals: int
    amount: int
    price: Decimal
    price_at: datetime
    seed: int
    depth_lamports: int | None
    """Depth of the SOL side of the pool; unknown: None."""
    opens_account: bool = False
    is_manual: bool = False
    """A person asked: no fresh price is needed."""


class Venue(Protocol):
    """Quotes and executes. `is_local`: nothing leaves the process, so an immediate order can be one transaction."""

    is_local: bool

    def fees(self, request: Request) -> int:
        """Lamports that a buy costs beside its amount (network fees and rent), to hold and to keep in reserve."""
        ...

    def quote(self, request: Request) -> Quote:
        """Raises `Refusal` when the venue does not trade this now."""
        ...

    def submit(self, request: Request, quote: Quote) -> None:
        """Send the order; the durable row says `submitted` before this is called."""
        ...

    def resolve(self, request: Request, quote: Quote) -> Quote:
        """What became of a submitted order, called once it is due; raises `Refusal` when it failed for good."""
        ...


_QUOTE_FIELDS = tuple(field.name for field in fields(Quote))  # `asdict` would copy each number


def quote_json(quote: Quote) -> dict[str, Any]:
    """A quote as it is stored on the order."""
    data = {name: getattr(quote, name) for name in _QUOTE_FIELDS}
    return data | {"price_impact": text(quote.price_impact), "outcome": str(quote.outcome)}


def quote_of(data: dict[str, Any]) -> Quote:
    """The quote that `quote_json` stored."""
    return Quote(**(data | {"price_impact": Decimal(data["price_impact"]), "outcome": Outcome(data["outcome"])}))
