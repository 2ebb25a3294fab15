"""What a client must send for a signal, checked field by field in the documented order."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from agents.config import is_storable
from nexgent.errors import InvalidInput, Refusal
from prices.mints import is_mint
from signals.models import Side

TOKEN_LENGTH_MAX = 255
TYPE_LENGTH_MAX = 50
SYMBOL_LENGTH_MAX = 50
SOURCE_LENGTH_MAX = 100
REFERENCE_LENGTH_MAX = 100
STRENGTHS = range(1, 6)
SELL = "SELL"


@dataclass(frozen=True, slots=True)
class SignalRequest:
    """A valid request: texts trimmed, absent ones empty."""

    token_address: str
    signal_type: str
    signal_strength: int
    symbol: str = ""
    activation_reason: str = ""
    source: str = ""
    side: Side = Side.BUY
    external_ref: str = ""
    dry_run: bool = False


class _Reader:
    """Reads fields one by one and remembers what is wrong with each."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        self.problems: dict[str, str] = {}

    def required_text(self, name: str, longest: int) -> str:
        value = self.data.get(name)
        if not isinstance(value, str) or not value.strip():
            self.problems[name] = "Must be a text that is not blank"
            return ""
        return self._within(name, value, longest)

    def optional_text(self, name: str, longest: int | None = None) -> str:
        value = self.data.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.problems[name] = "Must be a text"
            return ""
        return self._within(name, value, longest)

    def _within(self, name: str, value: str, longest: int | None) -> str:
        if longest is not None and len(value) > longest:
            self.problems[name] = f"Must have at most {longest} characters"
        elif not is_storable(value):
            self.problems[name] = "Has a character that cannot be stored"
        return value.strip()

    def token(self, name: str) -> str:
        token = self.required_text(name, TOKEN_LENGTH_MAX)
        if name not in self.problems and not is_mint(token):
            self.problems[name] = "Must be a token address: base58 of 32 bytes"
        return token

    def strength(self, name: str) -> int:
        value = self.data.get(name)
        is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
        if not is_number or value not in STRENGTHS:
            self.problems[name] = "Must be a whole number from 1 to 5"
            return 0
        return int(value)

    def side(self, name: str) -> Side | None:
        value = self.data.get(name)
        if value is None:
            return None
        if value not in Side.values:
            self.problems[name] = f"Must be one of {', '.join(Side.values)}"
            return None
        return Side(value)

    def flag(self, name: str) -> bool:
        value = self.data.get(name)
        if value is not None and not isinstance(value, bool):
            self.problems[name] = "Must be true or false"
        return value is True


def read(data: Any) -> SignalRequest:
    """The request as a record.

    Raises InvalidInput with a message per field, and Refusal SIDE_REQUIRED for a type "SELL" that does not say whether
    it buys or sells.
    """
    if not isinstance(data, Mapping):
        raise InvalidInput({"": "The body must be a JSON object"})
    reader = _Reader(data)
    token = reader.token("tokenAddress")
    kind = reader.required_text("signalType", TYPE_LENGTH_MAX)
    strength = reader.strength("signalStrength")
    symbol = reader.optional_text("symbol", SYMBOL_LENGTH_MAX)
    reason = reader.optional_text("activationReason")
    source = reader.optional_text("source", SOURCE_LENGTH_MAX)
    side = reader.side("side")
    external_ref = reader.optional_text("externalRef", REFERENCE_LENGTH_MAX)
    dry_run = reader.flag("dryRun")
    if reader.problems:
        raise InvalidInput(reader.problems)
    if side is None and kind.upper() == SELL:
        raise Refusal(
            "SIDE_REQUIRED", 'A signal of type "SELL" must say its side: buy or sell.', details={"field": "side"}
        )
    return SignalRequest(
        token_address=token,
        signal_type=kind,
        signal_strength=strength,
        symbol=symbol,
        activation_reason=reason,
        source=source,
        side=side or Side.BUY,
        external_ref=external_ref,
        dry_run=dry_run,
    )
