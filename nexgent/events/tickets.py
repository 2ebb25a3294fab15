"""Tickets: a socket's credential that may stand in an address. Single use, 30 seconds, kept in Valkey by its hash."""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import redis

from nexgent.errors import Refusal
from nexgent.events import bell, limits

_PREFIX = "nexgent:ws-ticket:"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whose it is, for which agent, and the session that asked for it, which ends what the ticket opened."""

    user_id: UUID
    agent_id: UUID | None
    session_key: str = ""  # of a page
    token_jti: str = ""
    session_id: str = ""  # of tokens


def issue_ticket(principal: Any, agent_id: UUID | None = None, *, session_key: str = "") -> str:
    """A new ticket for a person; the caller has checked that the agent is visible to them.

    `session_key` names the page's session when the principal has no token.
    Raises Refusal: AUTHORIZATION_ERROR for an API key, DEPENDENCY_DOWN without Valkey.
    """
    if principal.kind != "user":
        raise Refusal("AUTHORIZATION_ERROR", "A ticket is for a person; a key cannot open a socket.")
    ticket = secrets.token_urlsafe(32)
    body = {
        "userId": str(principal.user.pk),
        "agentId": _text(agent_id),
        "sessionKey": "" if principal.token_jti else session_key,
        "tokenJti": _text(principal.token_jti),
        "sessionId": _text(principal.session_id),
    }
    try:
        with bell.connect() as valkey:
            valkey.set(_key(ticket), orjson.dumps(body), ex=limits.TICKET_SECONDS)
    except redis.RedisError as error:
        raise Refusal("DEPENDENCY_DOWN", "Tickets are not available at the moment.") from error
    return ticket


def redeem_ticket(ticket: str) -> Ticket:
    """Whose ticket this is; it is spent by asking. Raises Refusal: AUTHENTICATION_ERROR, DEPENDENCY_DOWN."""
    try:
        with bell.connect() as valkey:
            body: Any = valkey.getdel(_key(ticket))
    except redis.RedisError as error:
        raise Refusal("DEPENDENCY_DOWN", "Tickets are not available at the moment.") from error
    if body is None:
        raise Refusal("AUTHENTICATION_ERROR", "The ticket is not valid, was used or has expired.")
    facts = orjson.loads(body)
    return Ticket(
        user_id=UUID(facts["userId"]),
        agent_id=UUID(facts["agentId"]) if facts["agentId"] else None,
        session_key=facts["sessionKey"],
        token_jti=facts["tokenJti"],
        session_id=facts["sessionId"],
    )


def _text(key: UUID | None) -> str:
    return "" if key is None else str(key)


def _key(ticket: str) -> str:
    return _PREFIX + hashlib.sha256(ticket.encode()).hexdigest()
