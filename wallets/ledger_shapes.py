"""What entries with their postings, and balances at a time, look like in answers."""

from typing import Literal

from nexgent.api.shapes import DecimalText, Mint, Shape, Stamp, Uuid


class PostingShape(Shape):
    """A signed amount on one account of the entry's wallet; the lines of an entry sum to zero per asset."""

    line: int
    account: Literal["own", "external", "market", "fees", "rent", "burned", "adjustment"]
    token_address: Mint
    token_symbol: str | None
    amount: DecimalText
    units: str


class EntryShape(Shape):
    id: Uuid
    wallet_address: str
    entry_type: Literal["DEPOSIT", "WITHDRAWAL", "SWAP", "BURN", "ADJUSTMENT"]
    time: Stamp
    epoch: int
    order_id: Uuid | None
    reason: str | None
    author: str | None
    postings: list[PostingShape]


class BalanceAtShape(Shape):
    wallet_address: str
    token_address: Mint
    token_symbol: str | None
    balance: DecimalText
    units: str
    held: DecimalText
    time: Stamp
