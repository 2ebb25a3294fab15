"""Jupiter's price v3 and tokens v2 on loopback."""

from typing import Any

from nexgent.money import SOL_MINT
from tests.fakes.loopback import LoopbackServer, Query

IDS_MAX = 50


class FakeJupiter(LoopbackServer):
    """`prices` maps a mint to its USD price or to a whole record; unpriced mints are omitted, as the service does."""

    def __init__(self, *, sol_usd: Any = 150, api_key: str | None = None) -> None:
        super().__init__()
        self.prices: dict[str, Any] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.sol_usd = sol_usd
        self.block = 348_004_026
        self.blocks_stand_still = False
        self.api_key = api_key

    def answer(self, path: str, query: Query, headers: dict[str, str]) -> Any:
        if self.api_key is not None and headers.get("x-api-key") != self.api_key:
            return 401, {"code": 401, "message": "Unauthorized"}
        if path == "/price/v3":
            return self._prices(query.get("ids", [""])[0].split(","))
        if path == "/tokens/v2/search":
            return [self.tokens[mint] for mint in query["query"][0].split(",") if mint in self.tokens]
        return 404, {"message": "Not Found"}

    def token(self, mint: str, **changes: Any) -> None:
        """Describe a token as tokens v2 does."""
        self.tokens[mint] = {
            "id": mint,
            "name": "Bonk",
            "symbol": "BONK",
            "icon": None,
            "decimals": 5,
            "tokenProgram": "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
            "createdAt": "2026-10-01T12:00:00Z",
            "firstPool": {"id": "pool", "createdAt": "2026-10-01T12:00:05Z"},
            "holderCount": 1234,
            "audit": {"mintAuthorityDisabled": True, "freezeAuthorityDisabled": False, "topHoldersPercentage": 12.5},
            "mcap": 1234567.891,
            "liquidity": 98765.43,
            "usdPrice": 0.0001,
            "updatedAt": "2026-11-21T12:00:00Z",
            **changes,
        }

    def _prices(self, ids: list[str]) -> Any:
        if len(ids) > IDS_MAX:
            return 400, {"message": f"Too many ids requested, maximum is {IDS_MAX}"}
        if not self.blocks_stand_still:
            self.block += 4
        known = {SOL_MINT: self.sol_usd, **self.prices}
        return {mint: self._record(known[mint]) for mint in ids if known.get(mint) is not None}

    def _record(self, price: Any) -> dict[str, Any]:
        record = {"createdAt": "2026-10-01T12:00:00Z", "liquidity": 50000.5, "blockId": self.block, "decimals": 6}
        return {**record, "priceChange24h": -1.25, **(price if isinstance(price, dict) else {"usdPrice": price})}
