"""Family price_parsing: price selection from Jupiter and DexScreener answers, and what a feed may say of a rug pull."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from prices.feeds import dexscreener, jupiter

REFERENCE_DEFAULT_SOL_USD = 100
"""In an input this stands for "no SOL price known" (flag suspect_default_sol_price)."""


def _exact(value: Any) -> Any:
    """Wire JSON as the feeds read it: fractions as Decimal."""
    return json.loads(json.dumps(value), parse_float=Decimal)


def _jupiter(given: dict[str, Any]) -> dict[str, Any] | None:
    mint = given["token_address"]
    if given["sol_price_usd"] in (None, REFERENCE_DEFAULT_SOL_USD):
        return {"error": "sol_price_unknown"}
    record = _exact(given["response_wire_format"]).get(mint)
    if record is None:
        return None
    try:
        sol, usd = jupiter.parse_price(mint, record, sol_usd=_exact(given["sol_price_usd"]) * Decimal(1))
    except ValueError:
        return None
    return {
        "price_sol": sol,
        "price_usd": usd,
        "price_change_24h_percent": record.get("priceChange24h") or 0,
        "liquidity_usd": record.get("liquidity") or 0,
        "token_key": mint,
    }


def _dexscreener(given: dict[str, Any]) -> dict[str, Any] | None:
    try:
        best = dexscreener.best_pair(_exact(given["pairs_wire_format"]) or [], given["token_address"])
    except ValueError:
        return None
    if best is None:
        return None
    return {
        "price_sol": best.price_sol,
        "price_usd": best.price_usd or 0,
        "liquidity_usd": best.liquidity_usd,
        "price_change_24h_percent": best.price_change_24h_percent,
        "pair_address": best.pair_address,
    }


def _rug(given: dict[str, Any]) -> dict[str, Any]:
    verdict = dexscreener.rug_verdict(
        (_exact(given["pairs_wire_format"]) or []) if given["http_ok"] else None,
        mint=given["token_address"],
        minimum_sol=Decimal(str(given["min_sol_liquidity"])),
    )
    return {
        "treated_as_rug_pull": verdict.is_rug_pull,
        "has_liquidity": verdict.has_liquidity,
        "liquidity_sol": verdict.liquidity_sol,
        "liquidity_usd": verdict.liquidity_usd,
        "sol_pair_count": verdict.sol_pair_count,
        "check_failed": verdict.check_failed,
    }


_FUNCTIONS = {"parse_jupiter_price": _jupiter, "parse_dexscreener_pairs": _dexscreener, "rug_pull_verdict": _rug}


def price_parsing(vector: dict[str, Any]) -> Any:
    """One vector's result."""
    given = vector["input"]
    return _FUNCTIONS[given["function"]](given)


FAMILIES: dict[str, Callable[[dict[str, Any]], Any]] = {"price_parsing": price_parsing}
