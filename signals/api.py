"""REST of signals: intake, lists, revision, and what every agent made of each.

Intake answers 201 only when the signal is durable; trading follows from the row, not from this request.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import clock
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.principals import Principal
from nexgent.api import idempotency, pagination, query
from nexgent.api.openapi import Link, Param, choice, describe, moment, text, window
from nexgent.api.throttling import limit
from nexgent.errors import InvalidInput
from signals import live, selectors, services
from signals.models import Side, Signal
from signals.shapes import ExecutionShape, NewSignal, SignalChanges, SignalShape
from trading.engine.points import reach
from trading.models import Position

SCOPE = "signals"
SIGNAL_ID = (Param("signalId", {"type": "integer", "minimum": 0, "maximum": query.BIGINT_MAX}),)
LISTING = pagination.Listing(
    keys={
        "createdAt": pagination.by_number("id"),
        "signalStrength": pagination.by_number("signal_strength"),
        "signalType": pagination.by_text("signal_type"),
    },
    tie=pagination.by_number("id"),
    default="-createdAt",
)

EXECUTIONS = pagination.Listing(
    keys={"agentId": pagination.by_id("agent_id")},
    tie=pagination.by_id("agent_id"),
    default="agentId",
    limit_default=None,
)


class Signals(Endpoint):
    scopes = {"GET": SCOPE, "POST": SCOPE}
    throttles = {"POST": (limit("signals", settings.SIGNAL_RATE),)}

    @describe(
        "listSignals",
        "Signals, newest first",
        tag="Signals",
        answer=list[SignalShape],
        query=(
            text("tokenAddress"),
            text("signalType"),
            moment("startDate", "From this time on."),
            moment("endDate", "Until this time."),
            choice("side", Side.values),
            text("source"),
            text("externalRef"),
            text("q", "Part of token, symbol, type, reason or source."),
            *window(LISTING),
        ),
    )
    def get(self, request: Request) -> Response:
        rows = selectors.signals(
            request.principal.workspace_id,
            token_address=query.text(request, "tokenAddress") or "",
            signal_type=query.text(request, "signalType") or "",
            start=query.moment(request, "startDate"),
            end=query.moment(request, "endDate"),
            side=query.choice(request, "side", Side.values) or "",
            source=query.text(request, "source") or "",
            external_ref=query.text(request, "externalRef") or "",
            search=query.text(request, "q") or "",
        )
        return pagination.listed(request, LISTING, rows, wire=live.signal_wire)

    @describe(
        "createSignal",
        "Send a signal",
        tag="Signals",
        description="201 when the signal is durable; what each agent makes of it follows from there.",
        body=NewSignal,
        answer=SignalShape,
        status=201,
        refusals=("SIDE_REQUIRED", "SIGNAL_DUPLICATE"),
        idempotent=True,
        example={
            "tokenAddress": "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263",
            "symbol": "BONK",
            "signalType": "Breakout",
            "signalStrength": 4,
        },
        links={
            "Signal": Link("getSignal", {"signalId": "$response.body#/id"}),
            "Executions": Link("listExecutions", {"signalId": "$response.body#/id"}),
            "Revision": Link("updateSignal", {"signalId": "$response.body#/id"}),
            "End": Link("deleteSignal", {"signalId": "$response.body#/id"}),
        },
    )
    def post(self, request: Request) -> Response:
        received_at, principal = clock.now(), request.principal

        def accept() -> Response:
            signal = services.accept(
                workspace_id=principal.workspace_id,
                user_id=principal.user.id,
                data=request.data,
                received_at=received_at,
                api_key_id=principal.key_id,
            )
            return Response(live.signal_wire(signal), status=201)

        answer = idempotency.once(request, accept)
        reach("signal_committed")
        return answer


class OneSignal(Endpoint):
    scopes = {"GET": SCOPE, "PUT": SCOPE, "DELETE": SCOPE}

    @describe("getSignal", "One signal", tag="Signals", answer=SignalShape, path=SIGNAL_ID)
    def get(self, request: Request, signal_id: str) -> Response:
        return Response(live.signal_wire(owned(request.principal, signal_id)))

    @describe(
        "updateSignal",
        "Revise a signal",
        tag="Signals",
        description="Verdicts keep what they saw.",
        body=SignalChanges,
        answer=SignalShape,
        path=SIGNAL_ID,
        refusals=("SIDE_REQUIRED",),
        example={"activationReason": "Volume doubled"},
    )
    def put(self, request: Request, signal_id: str) -> Response:
        signal = services.signal_revise(
            workspace_id=request.principal.workspace_id, signal_id=id_of(signal_id), data=request.data
        )
        return Response(live.signal_wire(signal))

    @describe("deleteSignal", "Hide a signal", tag="Signals", status=204, path=SIGNAL_ID)
    def delete(self, request: Request, signal_id: str) -> Response:
        services.signal_hide(workspace_id=request.principal.workspace_id, signal_id=id_of(signal_id))
        return Response(status=204)


class Executions(Endpoint):
    scopes = {"GET": SCOPE}

    @describe(
        "listExecutions",
        "What every agent made of a signal",
        tag="Signals",
        answer=list[ExecutionShape],
        path=SIGNAL_ID,
        query=window(EXECUTIONS),
    )
    def get(self, request: Request, signal_id: str) -> Response:
        signal = owned(request.principal, signal_id)
        rows = [row for row in selectors.executions([signal.id]) if request.principal.sees(row["agent_id"])]
        wanted = pagination.read(request, EXECUTIONS)
        return pagination.respond(request, wanted, wanted.picked(rows), wire=_executions_wire, total=lambda: len(rows))


def _executions_wire(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    opened = _opened([row for row in rows if row["position_id"] is None and row["order_id"] is not None])
    return [
        live.execution_wire({**row, "position_id": row["position_id"] or opened.get(row["order_id"])}) for row in rows
    ]


def _opened(rows: list[dict[str, Any]]) -> dict[UUID, UUID]:
    """Position by the entry order that opened it."""
    if not rows:
        return {}
    found = Position.objects.filter(
        agent_id__in=[row["agent_id"] for row in rows], opened_by_id__in=[row["order_id"] for row in rows]
    )
    return dict(found.values_list("opened_by_id", "id"))


def id_of(text: str) -> int:
    """A signal id of a path; raises `InvalidInput` when it is no 64-bit integer."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= query.BIGINT_MAX):
        raise InvalidInput({"id": "must be an integer"})
    return int(text)


def owned(principal: Principal, signal_id: str) -> Signal:
    """The caller's signal; `NotFound` for absent, hidden and foreign ones."""
    return selectors.signal(principal.workspace_id, id_of(signal_id))


def exists(workspace_id: UUID, signal_id: int) -> bool:
    """Whether the workspace has this signal; trades that name one ask."""
    return selectors.signals(workspace_id).filter(id=signal_id).exists()
