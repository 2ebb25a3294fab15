"""`/audit-log`: who changed what, when and from where, with the values before and after."""

from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent.accounts.audit_wire import audit_wire
from nexgent.accounts.endpoints import Endpoint, mine
from nexgent.accounts.models import AuditEntry, Role
from nexgent.accounts.shapes import AuditShape
from nexgent.api import openapi, pagination, query
from nexgent.api.openapi import describe

KINDS = (
    "agent",
    "api_key",
    "assignment",
    "config",
    "factor",
    "grant",
    "invitation",
    "membership",
    "protection",
    "signal_hook",
    "user",
    "user_group",
    "user_permission",
    "wallet",
    "webhook",
    "workspace",
)
"""What is tracked and belongs to a workspace; actions in the admin are shown there."""
ACTIONS = ("created", "changed", "deleted")
LISTING = pagination.Listing(keys={"id": pagination.by_number("id")}, tie=pagination.by_number("id"), default="-id")


class AuditLog(Endpoint):
    """Newest first. Entries stay for ever and cannot be changed. A limited member sees those of their agents."""

    roles = {"GET": Role.AUDITOR}

    @describe(
        "listAuditEntries",
        "Who changed what, when and from where",
        tag="Audit",
        answer=list[AuditShape],
        query=(
            *openapi.window(LISTING),
            openapi.choice("kind", KINDS),
            openapi.choice("action", ACTIONS),
            openapi.text("objectId", "Id of what was changed.", length_max=100),
            openapi.uuid("agentId"),
            openapi.text("actor", "E-mail or id of who did it."),
            openapi.moment("startDate"),
            openapi.moment("endDate"),
        ),
    )
    def get(self, request: Request) -> Response:
        return pagination.listed(request, LISTING, _rows(request), wire=audit_wire)


def _rows(request: Request) -> QuerySet[AuditEntry]:
    rows = mine(AuditEntry.objects.all(), request.principal)
    wanted = {
        "kind": query.choice(request, "kind", KINDS),
        "action": query.choice(request, "action", ACTIONS),
        "object_id": query.text(request, "objectId", length_max=100),
        "agent_id": query.uuid_param(request, "agentId", required=False),
        "at__gte": query.moment(request, "startDate"),
        "at__lte": query.moment(request, "endDate"),
    }
    rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
    actor = query.text(request, "actor")
    if actor is None:
        return rows
    try:
        return rows.filter(actor_id=UUID(actor))
    except ValueError:
        return rows.filter(actor=actor)
