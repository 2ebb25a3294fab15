"""How values look on the wire: times, decimals and exact numbers.

Decimals travel as text or, where the reference has numbers, as JSON numbers written digit by digit from the exact
value. No binary float is involved in either.
"""

from datetime import UTC, datetime
from decimal import Decimal

import orjson

from nexgent import money


def stamp(at: datetime) -> str:
    """A time in UTC with three decimals and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def stamp_or_none(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)


def text_or_none(value: Decimal | None) -> str | None:
    return None if value is None else money.text(value)


def number(value: Decimal, *, places: int | None = None) -> orjson.Fragment:
    """A JSON number in plain notation: exact, or rounded (half even) to `places` decimals."""
    if places is not None:
        value = round(value, places)
    return orjson.Fragment(money.text(value))


def number_or_none(value: Decimal | None, *, places: int | None = None) -> orjson.Fragment | None:
    return None if value is None else number(value, places=places)


def sol_text(lamports: int) -> str:
    """Lamports as SOL, decimal text."""
    return money.units_text(lamports, money.SOL_DECIMALS)


def sol_number(lamports: int) -> orjson.Fragment:
    """Lamports as SOL, exact JSON number."""
    return number(money.sol(lamports))
