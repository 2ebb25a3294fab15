"""The field types of the trading configuration: strict JSON types, exact numbers, bounds that can be looked past.

Numbers become `Decimal` through their shortest text, never through binary arithmetic. A bound that fails is an error of
type `OUT_OF_RANGE`; with the context `TYPES_ONLY` bounds are not checked, so that a section's cross-field rules can
speak although one of its values is out of range.
"""

import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Strict, ValidationInfo
from pydantic_core import PydanticCustomError

from nexgent import money
from prices.mints import is_mint

OUT_OF_RANGE = "out_of_range"
NOT_A_NUMBER = "not_a_number"
TYPES_ONLY = {"bounds": False}


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can keep `text`: no NUL, no half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def exact(value: int | float | Decimal) -> Decimal:
    """The decimal that a JSON number says: 0.1 is a tenth."""
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def json_number(value: Decimal) -> int | float:
    """The JSON number with the same decimal value; ValueError when a JSON reader would see another one."""
    number: int | float = json.loads(money.text(value))
    if exact(number) != value:
        raise ValueError(f"{value} has more digits than a JSON number keeps")
    return number


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise PydanticCustomError(NOT_A_NUMBER, "Must be a number")
    if not math.isfinite(value):
        raise PydanticCustomError(NOT_A_NUMBER, "Must be a finite number")
    try:
        json_number(exact(value))
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError(NOT_A_NUMBER, "Has more digits than a JSON number keeps") from error
    return exact(value)


def _whole(value: Decimal) -> Decimal:
    if value != value.to_integral_value():
        raise PydanticCustomError(NOT_A_NUMBER, "Must be a whole number")
    return value


def _bound(passes: Callable[[Any], bool], message: str) -> AfterValidator:
    def check(value: Any, info: ValidationInfo) -> Any:
        if info.context != TYPES_ONLY and not passes(value):
            raise PydanticCustomError(OUT_OF_RANGE, "{message}", {"message": message})
        return value

    return AfterValidator(check)


def at_least(limit: str) -> AfterValidator:
    return _bound(lambda value: value >= Decimal(limit), f"Must be at least {limit}")


def above(limit: str) -> AfterValidator:
    return _bound(lambda value: value > Decimal(limit), f"Must be greater than {limit}")


def between(low: str, high: str) -> AfterValidator:
    """Both ends included."""
    return _bound(lambda value: Decimal(low) <= value <= Decimal(high), f"Must be between {low} and {high}")


def from_to_below(low: str, high: str) -> AfterValidator:
    """The low end included, the high end not."""
    return _bound(lambda value: Decimal(low) <= value < Decimal(high), f"Must be at least {low} and below {high}")


def above_to(low: str, high: str) -> AfterValidator:
    """The low end not included, the high end included."""
    return _bound(lambda value: Decimal(low) < value <= Decimal(high), f"Must be above {low} and at most {high}")


def entries(limit: int) -> AfterValidator:
    return _bound(lambda value: len(value) <= limit, f"Must have at most {limit} entries")


def length(low: int, high: int) -> AfterValidator:
    return _bound(lambda value: low <= len(value) <= high, f"Must have {low} to {high} characters")


def _storable(value: str) -> str:
    if not is_storable(value):
        raise PydanticCustomError("text", "Has a character that cannot be stored")
    return value


Number = Annotated[Decimal, BeforeValidator(_number)]
Whole = Annotated[Decimal, BeforeValidator(_number), AfterValidator(_whole)]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict(), AfterValidator(_storable)]
MintAddress = Annotated[
    str,
    Strict(),
    AfterValidator(_storable),
    _bound(is_mint, "Must be a token address: base58 of 32 bytes"),
]
