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
    user_id: UUID
    agent_id: UUID | None


def issue_ticket(principal: Any, agent_id: UUID | None = None) -> str:
    """A new ticket for a person; the caller has checked that the agent is visible to them.

    Raises Refusal: AUTHORIZATION_ERROR for an API key, DEPENDENCY_DOWN without Valkey.
    """
    if principal.kind != "user":
        raise Refusal("AUTHORIZATION_ERROR", "A ticket is for a person; a key cannot open a socket.")
    ticket = secrets.token_urlsafe(32)
    body = {"userId": str(principal.user.pk), "agentId": None if agent_id is None else str(agent_id)}
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
    return Ticket(UUID(facts["userId"]), UUID(facts["agentId"]) if facts["agentId"] else None)


def _key(ticket: str) -> str:
    return _PREFIX + hashlib.sha256(ticket.encode()).hexdigest()
