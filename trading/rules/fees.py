"""Fees of a swap, read from the venue's payload: protocol fee, network fee, and the rent that is only a deposit."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from nexgent.money import SOL_MINT, exact, floor

_BASIS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Fees:
    """Lamports; None where the payload does not say."""

    protocol_lamports: int | None
    network_lamports: int | None
    rent_lamports: int = 0


def _number(value: Any) -> Decimal | None:
    """A finite number of a payload (number or text); None for anything else, booleans included."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _lamports(value: Any) -> int:
    number = _number(value)
    return max(0, floor(number)) if number is not None else 0


def _part(payload: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    part = payload.get(key)
    return part if isinstance(part, Mapping) else None


@exact
def extract(payload: Mapping[str, Any] | None) -> Fees:
    """Fees of `{orderResponse, executeResponse}` or of a flat order; a negative component counts as 0."""
    payload = payload if isinstance(payload, Mapping) else {}
    is_nested = "orderResponse" in payload or "executeResponse" in payload
    order = _part(payload, "orderResponse") if is_nested else (payload or None)
    if order is None:
        return Fees(None, None)
    network = _lamports(order.get("signatureFeeLamports")) + _lamports(order.get("prioritizationFeeLamports"))
    protocol = _protocol(order, _part(payload, "executeResponse") if is_nested else None)
    return Fees(protocol, network, _lamports(order.get("rentFeeLamports")))


def _protocol(order: Mapping[str, Any], executed: Mapping[str, Any] | None) -> int | None:
    fee = _part(order, "platformFee") or {}
    bps = _number(fee.get("feeBps") if fee.get("feeBps") is not None else order.get("feeBps"))
    mint = fee.get("feeMint") if fee.get("feeMint") is not None else order.get("feeMint")
    if bps is None or bps <= 0:
        return 0
    if mint and mint != SOL_MINT:
        return None
    if order.get("inputMint") == SOL_MINT:
        side, quoted = "inputAmountResult", "inAmount"
    elif order.get("outputMint") == SOL_MINT:
        side, quoted = "outputAmountResult", "outAmount"
    else:
        return None
    amount = _number(executed.get(side) if executed is not None else order.get(quoted))
    if amount is None or amount <= 0:
        return None
    return floor(amount * bps / _BASIS)
