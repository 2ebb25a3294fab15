"""What a feed is: something that, asked for mints, answers with ticks, and says so when it cannot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from nexgent.errors import NexgentError
from prices.records import Lane, PriceTick


class FeedFailure(NexgentError):
    """A feed that gave no usable answer.

    `code` is timeout, unreachable, rate_limited, refused, http_error, malformed, stale, circuit_open or budget.
    """

    def __init__(self, code: str, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Answer:
    """Ticks of one call; `rejected` says per mint why a value was no price. Mints in neither were not answered."""

    ticks: tuple[PriceTick, ...] = ()
    rejected: dict[str, str] = field(default_factory=dict)
    sol_usd: PriceTick | None = None
    """SOL's own tick of the same answer, where the source tells USD."""


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a source knows of a token; unknown facts are absent from `facts`."""

    mint: str
    symbol: str
    name: str
    decimals: int
    program: str
    facts: dict[str, Any]


class Describer(Protocol):
    """A source of facts about tokens."""

    def tokens(self, mints: Sequence[str]) -> list[TokenFacts]:
        """Facts of tokens, as far as this source knows any. Raises FeedFailure."""


class Feed(Describer, Protocol):
    """One source of prices. Calls are made from several threads at once."""

    name: str
    batch_max: int
    """Most mints of one call."""
    is_confirmed: bool
    """Whether its jumps wait for a second source; made-up markets are exempt."""

    def spend(self, lane: Lane) -> None:
        """Take one call of `prices` out of the provider's budget. Raises FeedFailure "budget" when `lane` must wait."""

    def prices(self, mints: Sequence[str], *, lane: Lane) -> Answer:
        """Prices of at most `batch_max` mints; the caller has spent for it.

        Raises FeedFailure, within the provider's own deadline.
        """

    def mints(self) -> Sequence[str]:
        """The mints that this feed offers by itself; empty for outside services."""

    def close(self) -> None:
        """Give sockets back."""


def decimal_field(record: object, name: str) -> Decimal:
    """A required number, sent as number or text. Raises ValueError naming the field; NaN and infinities stay."""
    if not isinstance(record, dict) or name not in record or record[name] is None:
        raise ValueError(f"{name} is missing")
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError(f"{name} is no number")
    try:
        return Decimal(value)
    except ArithmeticError:
        raise ValueError(f"{name} is no number") from None


def finite_field(record: object, name: str) -> Decimal:
    """A required finite number. Raises ValueError naming field and value."""
    value = decimal_field(record, name)
    if not value.is_finite():
        raise ValueError(f"{name} is {value}")
    return value


def positive_field(record: object, name: str) -> Decimal:
    """A required number above zero and finite. Raises ValueError naming field and value."""
    value = finite_field(record, name)
    if value <= 0:
        raise ValueError(f"{name} is {value}")
    return value


def optional_amount(record: object, name: str) -> Decimal | None:
    """A number of at least zero, or None where it is absent or senseless."""
    try:
        value = decimal_field(record, name)
    except ValueError:
        return None
    return value if value.is_finite() and value >= 0 else None
