"""REST of prices: SOL in USD, with its source and age."""

from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import clock, money
from nexgent.accounts.endpoints import Endpoint
from nexgent.api.openapi import describe
from nexgent.api.wire import stamp
from prices import selectors
from prices.records import SOL_USD_MAX_AGE
from prices.shapes import SolUsdShape


class SolUsd(Endpoint):
    """Without any price: `price` is null and `isStale` true; there is no default price of SOL."""

    @describe("getSolPrice", "SOL in USD, with source and age", tag="Prices", answer=SolUsdShape)
    def get(self, request: Request) -> Response:
        tick = selectors.latest([money.SOL_MINT]).get(money.SOL_MINT)
        if tick is None or tick.price_usd is None:
            return Response({"price": None, "lastUpdated": None, "isStale": True, "source": None})
        return Response(
            {
                "price": f"{tick.price_usd:.8f}",
                "lastUpdated": stamp(tick.observed_at),
                "isStale": not selectors.is_fresh(tick, now=clock.now(), max_age=SOL_USD_MAX_AGE),
                "source": tick.source,
            }
        )
