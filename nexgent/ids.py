"""Identifiers: UUIDv7 (RFC 9562) made in Python, so that ids sort by creation and indexes stay compact."""

import os
import time
import uuid

_NAMESPACE = uuid.UUID("6f7be0f0-5d6c-7c1e-9d53-6e6578676e74")


def uuid7() -> uuid.UUID:
    """A new UUID version 7: 48 bits of unix milliseconds, 74 random bits."""
    random = int.from_bytes(os.urandom(10), "big")
    milliseconds = time.time_ns() // 1_000_000
    return uuid.UUID(
        int=(milliseconds << 80)
        | (0x7 << 76)
        | ((random >> 68 & 0xFFF) << 64)
        | (0b10 << 62)
        | (random & ((1 << 62) - 1))
    )


def key_uuid(text: str) -> uuid.UUID:
    """The UUIDv5 of a text key: fixed width for unique indexes; the text is kept beside it."""
    return uuid.uuid5(_NAMESPACE, text)
