"""How numbers look: fixed places so that they do not jump, a sign that is a minus and no hyphen, "–" for unknown."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from nexgent import clock, money
from nexgent.money import EXACT

register = template.Library()

UNKNOWN = "–"
MINUS = "−"
SOL_PLACES = 4
PRICE_DIGITS = 5
"""Significant digits of a price."""
ZEROS_SHOWN = 3
"""More zeros than these behind the point are written as one, with their number below the line."""


def _places(value: Decimal, places: int) -> str:
    rounded = abs(value).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN, context=EXACT)
    return f"{rounded:,f}"


def _is_shown_as_zero(value: Decimal, places: int) -> bool:
    return not value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN, context=EXACT)


def _signed(value: Decimal, places: int) -> str:
    sign = "" if _is_shown_as_zero(value, places) else "+" if value > 0 else MINUS
    return sign + _places(value, places)


@register.filter
def sol(lamports: int | None) -> str:
    """SOL of an amount in lamports."""
    if lamports is None:
        return UNKNOWN
    value = money.sol(lamports)
    is_negative = value < 0 and not _is_shown_as_zero(value, SOL_PLACES)
    return (MINUS if is_negative else "") + _places(value, SOL_PLACES)


@register.filter
def signed_sol(lamports: int | None) -> str:
    """SOL with its sign."""
    return UNKNOWN if lamports is None else _signed(money.sol(lamports), SOL_PLACES)


@register.filter
def percent(value: Decimal | None) -> str:
    """A percentage with its sign, two places."""
    return UNKNOWN if value is None else f"{_signed(value, 2)} %"


@register.filter
def level(value: Decimal | None) -> str:
    """A percentage of a rule with its sign; places only where there are any."""
    if value is None:
        return UNKNOWN
    return f"{_signed(value, 1).removesuffix('.0')} %"


@register.filter
def usd(value: Decimal | None) -> str:
    """US dollars, two places."""
    return UNKNOWN if value is None else f"${_places(value, 2)}"


@register.filter
def price(value: Decimal | None) -> str | SafeString:
    """A price in SOL with five significant digits; many zeros behind the point become one with their number."""
    if value is None:
        return UNKNOWN
    if not value:
        return "0"
    places = max(0, PRICE_DIGITS - 1 - value.adjusted())
    text = _places(value, min(places, money.PRICE_PLACES))
    whole, _, part = text.partition(".")
    zeros = len(part) - len(part.lstrip("0"))
    if whole != "0" or zeros <= ZEROS_SHOWN:
        return text
    return format_html('0.0<sub class="zeros">{}</sub>{}', zeros, part[zeros:])


@register.filter
def moment(at: datetime) -> str:
    """A time as every page shows it: in UTC, which its days are counted in, with the year when it is another."""
    year = "" if at.year == clock.now().year else f" {at.year}"
    return f"{at.day} {at:%b}{year}, {at:%H:%M} UTC"


@register.filter
def plain(value: Decimal | None) -> str:
    """Every digit, for machines and titles."""
    return "" if value is None else money.text(value)


@register.filter
def trend(value: Decimal | int | None) -> str:
    """The class of lamports (int) or a percentage that may rise or fall; what is shown as zero does neither."""
    shown, places = (money.sol(value), SOL_PLACES) if isinstance(value, int) else (value, 2)
    if shown is None or _is_shown_as_zero(shown, places):
        return "flat"
    return "up" if shown > 0 else "down"


@register.filter
def short(mint: str) -> str:
    """The ends of an address."""
    return mint if len(mint) <= 11 else f"{mint[:4]}…{mint[-4:]}"
