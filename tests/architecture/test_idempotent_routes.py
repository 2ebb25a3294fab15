"""Which POST may be repeated safely: every one that moves money or creates a signal takes an `Idempotency-Key`.

Made from the table of routes: a new POST has to be put into one of the two lists.
"""

import django
import pytest

MOVES = frozenset(
    {
        "agent-positions/{agentId}/{positionId}/close",
        "agent-transactions",
        "agents",
        "agents/{agentId}/config/versions/{number}/restore",
        "agents/{agentId}/positions/close-all",
        "agents/{agentId}/positions/{positionId}/write-off",
        "hooks/{hookPath}",
        "positions/close-by-ref",
        "trades/execute",
        "trading-signals",
        "wallets/{walletAddress}/check-deposits",
        "wallets/{walletAddress}/reset",
    }
)
"""Book, trade, or make agents trade."""

MOVES_NOTHING = frozenset(
    {
        "agent-balances",
        "agent-historical-swaps",
        "agents/{agentId}/protections/{lockId}/lift",
        "agents/{agentId}/quote",
        "api-keys",
        "api-keys/{keyId}/rotate",
        "auth/email",
        "auth/factors/passkeys",
        "auth/factors/passkeys/offer",
        "auth/factors/recovery-codes",
        "auth/factors/totp",
        "auth/factors/totp/offer",
        "auth/login",
        "auth/logout",
        "auth/password",
        "auth/password-reset",
        "auth/password-reset/confirm",
        "auth/refresh",
        "auth/register",
        "auth/revoke-all",
        "auth/step-up",
        "invitations/accept",
        "signal-hooks",
        "signal-hooks/preview",
        "signal-hooks/{hookId}/rotate",
        "wallets/assign",
        "wallets/{walletAddress}/unassign",
        "webhooks",
        "webhooks/test",
        "webhooks/{webhookId}/deliveries/{deliveryId}/redeliver",
        "webhooks/{webhookId}/ping",
        "webhooks/{webhookId}/rotate",
        "workspaces/{workspaceId}/choose",
        "workspaces/{workspaceId}/invitations",
        "ws-tickets",
    }
)
"""Sign-in, keys, addresses, previews; what is refused for ever (balances, closed trades); a wallet
without positions changes hands."""


@pytest.fixture(scope="module")
def posts():
    django.setup()
    from nexgent.api.document import PREFIX, routes

    return {route.path.removeprefix(f"{PREFIX}/"): route.operation for route in routes() if route.method == "POST"}


def test_every_post_is_in_one_of_the_lists(posts) -> None:
    assert sorted(posts) == sorted(MOVES | MOVES_NOTHING)
    assert not MOVES & MOVES_NOTHING


def test_every_post_that_moves_money_or_creates_a_signal_takes_an_idempotency_key(posts) -> None:
    assert [path for path in sorted(posts) if posts[path].is_idempotent] == sorted(MOVES)
