"""The part of Solana's JSON-RPC that describes mints and tells balances, on loopback."""

import base64
import json
from typing import Any

from tests.fakes.loopback import LoopbackServer, Query

TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"


def mint_account(*, decimals: int, mint_authority: bool = False, owner: str = TOKEN_PROGRAM) -> dict[str, Any]:
    """A mint as `getMultipleAccounts` answers it."""
    authority = (1 if mint_authority else 0).to_bytes(4, "little") + b"\x07" * 32
    data = authority + (10**15).to_bytes(8, "little") + bytes([decimals, 1]) + bytes(36)
    return {
        "data": [base64.b64encode(data).decode(), "base64"],
        "executable": False,
        "lamports": 1461600,
        "owner": owner,
        "rentEpoch": 18446744073709551615,
        "space": len(data),
    }


class FakeRpc(LoopbackServer):
    """`mints` maps an address to its account (unknown ones are null), `lamports` an address to its balance."""

    def __init__(self) -> None:
        super().__init__()
        self.mints: dict[str, dict[str, Any]] = {}
        self.lamports: dict[str, int] = {}

    def answer(self, path: str, query: Query, headers: dict[str, str]) -> Any:
        request = json.loads(self.posted)
        if request["method"] == "getBalance":
            value = {"context": {"slot": 1}, "value": self.lamports.get(request["params"][0], 0)}
            return {"jsonrpc": "2.0", "id": request["id"], "result": value}
        if request["method"] != "getMultipleAccounts":
            return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "Method not found"}}
        value = [self.mints.get(mint) for mint in request["params"][0]]
        return {"jsonrpc": "2.0", "id": request["id"], "result": {"context": {"slot": 1}, "value": value}}
