"""Quotes of buys behind the impact gate."""

from dataclasses import replace
from decimal import Decimal

from trading.rules import impact
from trading.rules.market import Quote
from trading.venues.protocol import Request, Venue


def quote_buy(venue: Venue, request: Request, limit: Decimal | None) -> Quote:
    """The first quote of 100/90/80/70 % of the amount below the limit; raises Refusal PRICE_IMPACT_TOO_HIGH."""
    quotes: dict[int, Quote] = {}

    def ask(lamports: int) -> Decimal:
        quotes[lamports] = venue.quote(replace(request, amount=lamports))
        return quotes[lamports].price_impact

    return quotes[impact.gate(request.amount, limit, ask)]
