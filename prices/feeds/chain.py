"""What the chain itself says of a mint: its decimals, its token program, and who may still mint or freeze.

Asked after the feeds, for tokens they do not know yet. Both token programs keep the same first 82 bytes: authority
options at 0 and 46 (0 = none), decimals at 44, initialised at 45.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from prices.feeds.protocol import FeedFailure, TokenFacts
from prices.feeds.provider import Provider
from prices.records import Lane

PROGRAMS = frozenset({"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", "TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb"})
ACCOUNTS_MAX = 100
MINT_BYTES = 82
_KIND_AT, _KIND_MINT = 165, 1  # a longer Token-2022 account says at this byte what it is


class Chain:
    """Mints by JSON-RPC, from the first provider that answers."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self.providers = list(providers)

    def tokens(self, mints: Sequence[str]) -> list[TokenFacts]:
        """Facts of up to 100 mints; what is no mint is absent. Raises FeedFailure when no provider answers."""
        request = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "getMultipleAccounts",
            "params": [list(mints), {"encoding": "base64", "commitment": "confirmed"}],
        }
        failure = FeedFailure("unreachable", "no RPC address")
        for provider in self.providers:
            try:
                return parse_mints(provider.post(request, lane=Lane.SIGNALS), mints)
            except FeedFailure as problem:
                failure = problem
        raise failure


def parse_mints(body: object, mints: Sequence[str]) -> list[TokenFacts]:
    """The mints among the accounts of an answer, in the order asked. Raises FeedFailure for another shape."""
    result = body.get("result") if isinstance(body, dict) else None
    accounts = result.get("value") if isinstance(result, dict) else None
    if not isinstance(accounts, list) or len(accounts) != len(mints):
        raise FeedFailure("malformed", "the RPC did not answer with the accounts asked for")
    read = (_mint(mint, account) for mint, account in zip(mints, accounts, strict=True))
    return [token for token in read if token is not None]


def _mint(mint: str, account: Any) -> TokenFacts | None:
    if not isinstance(account, dict) or account.get("owner") not in PROGRAMS:
        return None
    try:
        data = base64.b64decode(account["data"][0], validate=True)
    except (KeyError, IndexError, TypeError, binascii.Error):
        return None
    is_mint = len(data) == MINT_BYTES or (len(data) > _KIND_AT and data[_KIND_AT] == _KIND_MINT)
    if not is_mint or data[45] != 1:
        return None
    return TokenFacts(
        mint=mint,
        symbol="",
        name="",
        decimals=data[44],
        program=account["owner"],
        facts={
            "mintAuthorityDisabled": int.from_bytes(data[0:4], "little") == 0,
            "freezeAuthorityDisabled": int.from_bytes(data[46:50], "little") == 0,
        },
    )
