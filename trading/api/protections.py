"""`/agents/:id/protections`: the pauses that protections called, and the way to end one before its time."""

from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from nexgent import clock
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import openapi, pagination, query
from nexgent.api.openapi import describe
from nexgent.api.wire import stamp, stamp_or_none
from nexgent.errors import NotFound
from trading import services
from trading.models import ProtectionLock
from trading.rule_shapes import LockShape
from trading.rules.protections import ProtectionKind

LISTING = pagination.Listing(
    keys={"startsAt": pagination.by_time("starts_at"), "endsAt": pagination.by_time("ends_at")},
    tie=pagination.by_id("id"),
    default="-startsAt",
)
PROTECTIONS = sorted(kind.value for kind in ProtectionKind)


def lock_wire(lock: ProtectionLock) -> dict[str, Any]:
    now = clock.now()
    return {
        "id": lock.id,
        "agentId": lock.agent_id,
        "protection": lock.protection,
        "tokenAddress": lock.mint or None,
        "reason": lock.reason,
        "startsAt": stamp(lock.starts_at),
        "endsAt": stamp(lock.ends_at),
        "isActive": lock.lifted_at is None and lock.starts_at <= now < lock.ends_at,
        "liftedAt": stamp_or_none(lock.lifted_at),
        "liftedBy": lock.lifted_by or None,
    }


class Protections(Endpoint):
    """Locks of an agent, newest first; which protections are on stands in its configuration."""

    scopes = {"GET": "agents"}

    @describe(
        "listProtectionLocks",
        "Pauses of entries that protections called",
        tag="Agents",
        answer=list[LockShape],
        query=(
            openapi.flag("active", "`true`: those that hold now; `false`: the others."),
            openapi.choice("protection", PROTECTIONS),
            openapi.text("tokenAddress"),
            *openapi.window(LISTING),
        ),
    )
    def get(self, request: Request, agent_id: str) -> Response:
        rows = ProtectionLock.objects.filter(agent=owned(request.principal, agent_id))
        now, is_active = clock.now(), query.flag(request, "active")
        holding = Q(lifted_at=None, starts_at__lte=now, ends_at__gt=now)
        if is_active is not None:
            rows = rows.filter(holding) if is_active else rows.exclude(holding)
        protection = query.choice(request, "protection", PROTECTIONS)
        if protection is not None:
            rows = rows.filter(protection=protection)
        mint = query.text(request, "tokenAddress")
        if mint is not None:
            rows = rows.filter(mint=mint)
        return pagination.listed(request, LISTING, rows, wire=lock_wire)


class Lift(Endpoint):
    """For people, not for keys: what paused a strategy must not be lifted by the strategy. Twice is once."""

    @describe(
        "liftProtectionLock",
        "End a protection's pause before its time",
        tag="Agents",
        description="The same cause does not call it again. Repeating changes nothing.",
        answer=LockShape,
        refusals=("PROTECTION_NOT_FOUND", "AGENT_NOT_FOUND"),
    )
    def post(self, request: Request, agent_id: str, lock_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        wanted = query.uuid_of(lock_id, "lockId")
        if not ProtectionLock.objects.filter(id=wanted, agent=agent).exists():
            raise NotFound("protection")
        return Response(lock_wire(services.protection_lift(lock_id=wanted, author=request.principal.user.email)))
