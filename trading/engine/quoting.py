"""Quotes of buys behind the impact gate."""

from dataclasses import replace
from decimal import Decimal

from nexgent.errors import Refusal
from trading.rules import impact
from trading.rules.market import Quote
from trading.venues.protocol import Request, Venue


def quote_buy(venue: Venue, request: Request, limit: Decimal | None) -> Quote:
    """The first quote of 100/90/80/70 % of the amount below the limit.

    Raises Refusal PRICE_IMPACT_TOO_HIGH, and ZERO_TOKENS when the amount is worth less than one unit.
    """
    quotes: dict[int, Quote] = {}

    def ask(lamports: int) -> Decimal:
        quotes[lamports] = venue.quote(replace(request, amount=lamports))
        return quotes[lamports].price_impact

    quote = quotes[impact.gate(request.amount, limit, ask)]
    if quote.amount_out <= 0:
        raise Refusal("ZERO_TOKENS", "The amount is worth less than the smallest unit of the token.")
    return quote
