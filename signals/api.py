"""REST of signals: intake, lists, revision, and what every agent made of each.

Intake answers 201 only when the signal is durable; trading follows from the row, not from this request.
"""

from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import clock
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.principals import Principal
from nexgent.api import idempotency, query
from nexgent.api.throttling import limit
from nexgent.errors import InvalidInput
from signals import live, selectors, services
from signals.models import Signal
from trading.engine.points import reach
from trading.models import Position

SCOPE = "signals"


class Signals(Endpoint):
    scopes = {"GET": SCOPE, "POST": SCOPE}
    throttles = {"POST": (limit("signals", settings.SIGNAL_RATE),)}

    def get(self, request: Request) -> Response:
        page = query.page(request)
        rows = selectors.signals(
            request.principal.workspace_id,
            token_address=query.text(request, "tokenAddress") or "",
            signal_type=query.text(request, "signalType") or "",
            start=query.moment(request, "startDate"),
            end=query.moment(request, "endDate"),
        )
        return Response([live.signal_wire(signal) for signal in rows[page.slice]])

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

    def get(self, request: Request, signal_id: str) -> Response:
        return Response(live.signal_wire(owned(request.principal, signal_id)))

    def put(self, request: Request, signal_id: str) -> Response:
        signal = services.signal_revise(
            workspace_id=request.principal.workspace_id, signal_id=id_of(signal_id), data=request.data
        )
        return Response(live.signal_wire(signal))

    def delete(self, request: Request, signal_id: str) -> Response:
        services.signal_hide(workspace_id=request.principal.workspace_id, signal_id=id_of(signal_id))
        return Response(status=204)


class Executions(Endpoint):
    scopes = {"GET": SCOPE}

    def get(self, request: Request, signal_id: str) -> Response:
        signal = owned(request.principal, signal_id)
        rows = selectors.executions([signal.id])
        opened = _opened([row for row in rows if row["position_id"] is None and row["order_id"] is not None])
        return Response(
            [
                live.execution_wire({**row, "position_id": row["position_id"] or opened.get(row["order_id"])})
                for row in rows
            ]
        )


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
