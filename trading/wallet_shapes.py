"""What the routes that assign, reset and check wallets answer (`nexgent.api.shapes`)."""

from typing import Literal

from nexgent.api.shapes import DecimalText, Shape, Uuid


class AssignedShape(Shape):
    success: Literal[True]
    wallet_address: str
    wallet_type: Literal["simulation", "live"]
    message: str


class DeletedShape(Shape):
    """How many rows the ended epoch had."""

    positions: int
    historical_swaps: int
    balances: int
    transactions: int


class EndedShape(Shape):
    success: Literal[True]
    message: str
    wallet_address: str
    deleted: DeletedShape
    duration: int
    """Milliseconds."""


class DepositCheckShape(Shape):
    success: Literal[True]
    deposit_detected: bool
    previous_balance: DecimalText
    on_chain_balance: DecimalText
    deposit_amount: DecimalText
    transaction_id: Uuid | None
    message: str
