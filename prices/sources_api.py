"""`/data-sources/status`: which outside sources this installation is set up to ask, and how the feeds do."""

from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import clock
from nexgent.accounts.endpoints import Endpoint
from nexgent.api.openapi import describe
from nexgent.api.shapes import Shape
from nexgent.api.throttling import STATUS
from prices import selectors

DEXSCREENER, JUPITER, SYNTHETIC = "dexscreener", "jupiter", "synthetic"


class SourceShape(Shape):
    configured: bool


class SourcesShape(Shape):
    pyth_network: SourceShape
    pyth_sol_price_feed: SourceShape
    jupiter: SourceShape
    dexscreener: SourceShape
    liquidity_checks: SourceShape
    signal_generation: SourceShape


class Sources(Endpoint):
    """Six groups as existing clients know them, each what is true here. How feeds do stands in the health answer."""

    throttles = {"GET": (STATUS,)}

    @describe("getDataSources", "Which outside sources are set up", tag="Prices", answer=SourcesShape)
    def get(self, request: Request) -> Response:
        return Response(sources())


def sources() -> dict[str, Any]:
    """SOL in USD comes from Pyth, else from the price feed; liquidity is told by the feeds that know pools."""
    feeds = set(settings.PRICE_FEEDS)
    has_pyth = bool(settings.PYTH_API_KEY)
    has_sol_price = has_pyth or selectors.sol_usd(clock.now()) is not None
    told = {
        "pythNetwork": has_pyth,
        "pythSolPriceFeed": has_sol_price,
        "jupiter": JUPITER in feeds or bool(settings.JUPITER_API_KEY),
        "dexscreener": DEXSCREENER in feeds,
        "liquidityChecks": bool(feeds & {DEXSCREENER, JUPITER, SYNTHETIC}),
        "signalGeneration": True,
    }
    return {name: {"configured": is_configured} for name, is_configured in told.items()}
