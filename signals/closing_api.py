"""Closing by the sender's own reference: the positions that signals with this `externalRef` opened.

A bot that names its ideas need not remember our ids: what it called `trade-17` when it sent the signal, it closes as
`trade-17`, for all agents that followed it or for one.
"""

from typing import ClassVar

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents.api.agents import owned
from nexgent.accounts.endpoints import Endpoint, mine
from nexgent.api.bodies import Body, DecimalValue, Trimmed, UuidValue, read
from nexgent.api.openapi import describe
from signals.models import Signal
from signals.request import REFERENCE_LENGTH_MAX
from trading.api.closing import closed_each
from trading.models import Position
from trading.order_shapes import ClosesShape


class CloseByReferenceBody(Body):
    external_ref: Trimmed = Field(min_length=1, max_length=REFERENCE_LENGTH_MAX)
    agent_id: UuidValue | None = None
    percent: DecimalValue | None = Field(default=None, gt=0, le=100)


class CloseByReference(Endpoint):
    """Never limited by a throttle."""

    scopes = {"POST": "trade"}
    is_unlimited: ClassVar[bool] = True

    @describe(
        "closeByReference",
        "Close what signals with an `externalRef` opened",
        tag="Trading",
        description="For all agents, or for one. 404 when no open position came from such a signal.",
        body=CloseByReferenceBody,
        answer=ClosesShape,
        also={202: ClosesShape},
        idempotent=True,
        refusals=("POSITION_NOT_FOUND", "AGENT_NOT_FOUND"),
        example={"externalRef": "trade-17"},
    )
    def post(self, request: Request) -> Response:
        body = read(CloseByReferenceBody, request.data)
        rows = mine(Position.objects.filter(agent__archived_at=None), request.principal)
        if body.agent_id is not None:
            rows = rows.filter(agent=owned(request.principal, str(body.agent_id)))
        named = Signal.objects.filter(workspace_id=request.principal.workspace_id, external_ref=body.external_ref)
        rows = rows.filter(signal_id__in=named.values("id"))
        return closed_each(request, rows, percent=body.percent, is_empty_missing=True)
