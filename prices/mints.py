"""What a mint address looks like: base58 of 32 bytes, exact case."""

from solders.pubkey import Pubkey

LENGTH_MIN, LENGTH_MAX = 32, 44


def is_mint(text: str) -> bool:
    """Whether `text` is base58 of exactly 32 bytes."""
    if not LENGTH_MIN <= len(text) <= LENGTH_MAX or not text.isascii():
        return False
    try:
        Pubkey.from_string(text)
    except ValueError:
        return False
    return True


def mint_of(seed: bytes) -> str:
    """The address of 32 given bytes (made-up tokens of the synthetic market and of tapes)."""
    return str(Pubkey(seed))
