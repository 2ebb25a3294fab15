"""What the ledger says to a client that wants to rewrite it."""

from nexgent.errors import Refusal


def immutable(use: str) -> Refusal:
    """409: posted entries and the balances they add up to are never edited; `use` says what to do instead."""
    return Refusal("LEDGER_IMMUTABLE", "The ledger is append-only: corrections are new entries.", details={"use": use})
