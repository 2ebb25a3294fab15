"""DexScreener's tokens v1 on loopback: all pools of the asked tokens in one list."""

from typing import Any

from nexgent.money import SOL_MINT
from tests.fakes.loopback import LoopbackServer, Query


def pair(mint: str, native: Any, *, quote: str = SOL_MINT, **changes: Any) -> dict[str, Any]:
    """A pool as the service describes it."""
    return {
        "chainId": "solana",
        "dexId": "raydium",
        "url": "https://dexscreener.com/solana/pool",
        "pairAddress": "pool",
        "baseToken": {"address": mint, "name": "Token", "symbol": "TOK"},
        "quoteToken": {"address": quote, "name": "Quote", "symbol": "QUO"},
        "priceNative": native,
        "priceUsd": "0.15",
        "txns": {"h24": {"buys": 1, "sells": 1}},
        "volume": {"h24": 1000.5},
        "priceChange": {"h24": 1.5},
        "liquidity": {"usd": 50000.5, "base": 1, "quote": 160.2},
        "pairCreatedAt": 1790000000000,
        **changes,
    }


class FakeDexScreener(LoopbackServer):
    """`pools` maps a mint to its pairs; a plain text price stands for one SOL pool. Unknown tokens: nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.pools: dict[str, Any] = {}

    def answer(self, path: str, query: Query, headers: dict[str, str]) -> Any:
        if not path.startswith("/tokens/v1/solana/"):
            return 404, {"message": "Not Found"}
        mints = path.rsplit("/", 1)[1].split(",")
        if len(mints) > 30:
            return 400, {"message": "too many addresses"}
        found = [self.pools[mint] for mint in mints if mint in self.pools]
        pools = [[pair(mint, given)] if not isinstance(given, list) else given for mint, given in self._asked(mints)]
        return [pool for group in pools for pool in group] if found else []

    def _asked(self, mints: list[str]) -> list[tuple[str, Any]]:
        return [(mint, self.pools[mint]) for mint in mints if mint in self.pools]
