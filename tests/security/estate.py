"""Everything somebody can own, made once: the ids by kind, and words that only its owner may ever read."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.db import connection

from nexgent import clock
from nexgent.accounts.models import User
from nexgent.events.models import WebhookDelivery
from nexgent.ids import key_uuid
from signals import fanout
from tests.integration.api_client import Api, sign_up
from tests.integration.api_trading import buy, deposit, tick
from tests.security.people import client_of, workspace_of
from tests.trader import new_mint
from trading.models import ProtectionLock

# Without the time an order was published: a thread of its own stamps that later.
STATE = """
SELECT md5(string_agg(row, '|' ORDER BY row)) FROM (
    SELECT to_jsonb(t)::text AS row FROM agents_agent t WHERE t.workspace_id = %(w)s
    UNION ALL SELECT to_jsonb(t)::text FROM signals_signal t WHERE t.workspace_id = %(w)s
    UNION ALL SELECT to_jsonb(t)::text FROM trading_position t WHERE t.workspace_id = %(w)s
    UNION ALL SELECT (to_jsonb(t) #- '{stages,published}')::text FROM trading_order t WHERE t.agent_id IN
        (SELECT id FROM agents_agent WHERE workspace_id = %(w)s)
    UNION ALL SELECT to_jsonb(t)::text FROM trading_protectionlock t WHERE t.agent_id IN
        (SELECT id FROM agents_agent WHERE workspace_id = %(w)s)
    UNION ALL SELECT to_jsonb(t)::text FROM accounts_apikey t WHERE t.workspace_id = %(w)s
    UNION ALL SELECT to_jsonb(t)::text FROM accounts_membership t WHERE t.workspace_id = %(w)s
    UNION ALL SELECT t.id::text FROM accounts_auditentry t WHERE t.workspace_id = %(w)s
    UNION ALL SELECT t.entry_id::text || t.line FROM wallets_posting t JOIN wallets_wallet v ON v.id = t.wallet_id
        WHERE v.workspace_id = %(w)s
) AS rows
"""


@dataclass(frozen=True)
class Estate:
    """`ids` by kind; `words` are names, addresses and ids that stand in answers to the owner."""

    owner: User
    api: Api
    workspace_id: UUID
    ids: dict[str, str]
    words: tuple[str, ...]

    def state(self) -> str:
        """One text for all rows of the workspace: the same as before, when nothing was changed."""
        with connection.cursor() as cursor:
            cursor.execute(STATE, {"w": self.workspace_id})
            return str(cursor.fetchone()[0])


def of_person(email: str) -> Estate:
    """A new person with a workspace, and everything in it."""
    owner = sign_up(email, is_superuser=False)
    return of_workspace(owner, client_of(owner))


def of_workspace(owner: User, api: Api) -> Estate:
    """One agent with a deposit, an open and a closed position, a signal with its verdict, a key."""
    word = secrets.token_hex(6)
    ids: dict[str, Any] = {"user": owner.id, "workspace": workspace_of(owner)}
    ids["agent"] = api.post("/api/v1/agents", {"name": f"Agent {word}", "profile": "ideal"}).json()["id"]
    ids["transaction"] = deposit(api, ids["agent"], "10").json()["id"]
    ids["wallet"] = api.get(f"/api/v1/wallets/agent/{ids['agent']}").json()["agentWallets"][0]["walletAddress"]
    ids["balance"] = api.get("/api/v1/agent-balances", {"agentId": ids["agent"]}).json()[0]["id"]
    with _price() as mint:
        bought = _ok(buy(api, ids["agent"], "1", tokenAddress=mint, tokenSymbol=word[:10]))
        close = f"/api/v1/agent-positions/{ids['agent']}/{bought['positionId']}/close"
        ids["swap"] = _ok(api.post(close, {}))["historicalSwapId"]
    with _price() as mint:
        opened = _ok(buy(api, ids["agent"], "1", tokenAddress=mint, tokenSymbol=word[:10]))
        ids |= {"position": opened["positionId"], "order": opened["orderId"], "mint": mint}
    signal = {"tokenAddress": mint, "signalType": "Velocity", "signalStrength": 4, "symbol": word, "externalRef": word}
    ids["signal"] = api.post("/api/v1/trading-signals", signal).json()["id"]
    fanout.drain()
    key = api.post("/api/v1/api-keys", {"name": f"Key {word}", "scopes": ["signals"]}).json()
    ids["key"] = key["id"]
    ids["lock"] = _lock(ids["agent"])
    ids["session"] = api.get("/api/v1/auth/sessions").json()[0]["id"]
    invited = api.post(f"/api/v1/workspaces/{ids['workspace']}/invitations", {"role": "viewer"})
    ids["invitation"] = invited.json()["id"]
    secret = get_adapter().encrypt("A" * 32)
    factor = Authenticator.objects.create(user=owner, type=Authenticator.Type.TOTP, data={"secret": secret})
    ids["factor"] = key_uuid(f"factor|{factor.id}")
    webhook = api.post("/api/v1/webhooks", {"url": f"https://bot.example.com/{word}"}).json()
    sent = {"webhook_id": webhook["id"], "stream_id": ids["workspace"], "type": "note", "body": "{}"}
    delivery = WebhookDelivery.objects.create(**sent, created_at=clock.now(), due_at=clock.now() + timedelta(hours=1))
    hook = api.post("/api/v1/signal-hooks", {"name": f"Hook {word}"}).json()
    ids |= {"webhook": webhook["id"], "delivery": delivery.id, "hook": hook["id"]}
    texts = {kind: str(value) for kind, value in ids.items()}
    shown = [texts[kind] for kind in ("agent", "transaction", "wallet", "balance", "swap", "position", "order", "key")]
    shown += [texts[kind] for kind in ("session", "invitation", "lock", "webhook", "delivery", "hook")]
    return Estate(owner, api, ids["workspace"], texts, (*shown, word, owner.email))


def _lock(agent_id: str) -> UUID:
    """A pause that is over: it keeps nobody from entering."""
    start, end = clock.now() - timedelta(hours=2), clock.now() - timedelta(hours=1)
    lock = ProtectionLock(agent_id=agent_id, protection="cooldown", reason="lost", starts_at=start, ends_at=end)
    lock.save(force_insert=True)
    return lock.id


@contextmanager
def _price() -> Iterator[str]:
    mint = new_mint()
    tick("0.001", mint=mint)
    yield mint


def _ok(answer: Any) -> Any:
    assert answer.status_code == 200, answer.content
    return answer.json()
