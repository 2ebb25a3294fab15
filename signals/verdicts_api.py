"""`/agents/:id/verdicts`: what an agent made of the signals: reasons, orders, and how long each step took."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from nexgent.accounts.endpoints import Endpoint
from nexgent.api import openapi, pagination, query
from nexgent.api.openapi import describe
from nexgent.api.wire import stamp
from signals import live, selectors
from signals.models import Signal, Verdict
from signals.verdict_shapes import VerdictShape

LISTING = pagination.Listing(
    keys={"signalId": pagination.by_number("signal_id")}, tie=pagination.by_number("signal_id"), default="-signalId"
)


def verdicts_wire(agent_id: UUID, rows: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The verdicts with their signals; one read of each."""
    ids = [row.signal_id for row in rows]
    found = {row["signal_id"]: row for row in selectors.executions(ids, agent_id=agent_id)}
    signals = Signal.objects.in_bulk(ids)
    return [
        {
            "signalId": row.signal_id,
            "signalType": signals[row.signal_id].signal_type,
            "signalStrength": signals[row.signal_id].signal_strength,
            "side": str(signals[row.signal_id].side),
            "tokenAddress": signals[row.signal_id].token_address,
            "symbol": signals[row.signal_id].symbol or None,
            "externalRef": signals[row.signal_id].external_ref or None,
            "dryRun": signals[row.signal_id].dry_run,
            **live.execution_wire(found[row.signal_id]),
            "time": stamp(row.at),
        }
        for row in rows
    ]


class Verdicts(Endpoint):
    """Skipped signals included: silence has its reasons too."""

    scopes = {"GET": "signals"}

    @describe(
        "listVerdicts",
        "What an agent made of the signals",
        tag="Signals",
        answer=list[VerdictShape],
        query=(
            openapi.flag("traded", "`true`: those that led to an order; `false`: the others."),
            openapi.text("reason", "With this reason, lower_snake."),
            openapi.text("tokenAddress"),
            openapi.moment("startTime", "Given at this time or later."),
            openapi.moment("endTime", "Given at this time or earlier."),
            *openapi.window(LISTING),
        ),
    )
    def get(self, request: Request, agent_id: str) -> Response:
        agent = owned(request.principal, agent_id)
        rows = Verdict.objects.filter(agent=agent, signal__hidden_at=None)
        traded, reason = query.flag(request, "traded"), query.text(request, "reason")
        filters = {
            "order__isnull": None if traded is None else not traded,
            "reasons__contains": None if reason is None else [reason],
            "signal__token_address": query.text(request, "tokenAddress"),
            "at__gte": query.moment(request, "startTime"),
            "at__lte": query.moment(request, "endTime"),
        }
        rows = rows.filter(**{name: value for name, value in filters.items() if value is not None})
        window = pagination.read(request, LISTING)
        return pagination.respond(
            request, window, window.rows(rows), wire=lambda page: verdicts_wire(agent.id, page), total=rows.count
        )
