"""`/alarms`: what a person must know now. Alarms live below accounts; who may read them is decided here."""

from typing import Any

from django.db.models import Q
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.shapes import AlarmShape
from nexgent.api import pagination, query
from nexgent.api.openapi import describe, flag, window
from nexgent.api.wire import stamp, stamp_or_none
from nexgent.events.models import Alarm

LISTING = pagination.Listing(keys={"since": pagination.by_time("since")}, tie=pagination.by_id("id"), default="-since")


def alarm_wire(alarm: Alarm) -> dict[str, Any]:
    return {
        "id": alarm.id,
        "code": alarm.code,
        "subject": alarm.subject,
        "agentId": alarm.agent_id,
        "detail": alarm.detail,
        "since": stamp(alarm.since),
        "clearedAt": stamp_or_none(alarm.cleared_at),
    }


class Alarms(Endpoint):
    """The workspace's alarms and the installation's, newest first; `active=true` leaves out cleared ones.

    A limited member sees those of no agent and of the agents it has grants for.
    """

    @describe(
        "listAlarms",
        "What a person must know now",
        tag="Alarms",
        answer=list[AlarmShape],
        query=(*window(LISTING), flag("active", "`true`: only those that stand.")),
    )
    def get(self, request: Request) -> Response:
        principal = request.principal
        rows = Alarm.objects.filter(Q(workspace_id=principal.workspace_id) | Q(workspace_id=None))
        if principal.agent_ids is not None:
            rows = rows.filter(Q(agent_id=None) | Q(agent_id__in=principal.agent_ids))
        is_active = query.flag(request, "active")
        if is_active is not None:
            rows = rows.filter(cleared_at__isnull=is_active)
        return pagination.listed(request, LISTING, rows, wire=alarm_wire)
