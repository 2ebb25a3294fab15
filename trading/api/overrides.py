"""`/agents/:id/positions/:positionId/override`: stop and ladder of one position, instead of its configuration's."""

from decimal import Decimal
from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from agents import config as trading_config
from nexgent.accounts.endpoints import Endpoint
from nexgent.api.bodies import Body, DecimalValue, read
from nexgent.api.openapi import describe
from nexgent.api.wire import text_or_none
from nexgent.errors import InvalidInput, NotFound
from trading import services
from trading.api.positions import owned_position
from trading.engine.positions import PINNED
from trading.models import Position, Watermark
from trading.rule_shapes import OverrideShape


class OverrideBody(Body):
    stop_loss: dict[str, Any] | None = None
    take_profit: dict[str, Any] | None = None
    stop_percent: DecimalValue | None = Field(default=None, gt=-100, le=1_000_000)
    """Pins the stop itself at this gain in percent; it no longer trails."""


def override_wire(position: Position) -> dict[str, Any]:
    """What was pinned, the stop as it stands, and the configuration version that rules the rest."""
    own = dict(position.override or {})
    pinned = own.pop(PINNED, None)
    stop = Watermark.objects.filter(position_id=position.id).values_list("stop_percent", flat=True).first()
    return {
        "positionId": position.id,
        "agentId": position.agent_id,
        "stopLoss": own.get("stopLoss"),
        "takeProfit": own.get("takeProfit"),
        "stopPercent": None if pinned is None else text_or_none(Decimal(pinned)),
        "currentStopPercent": text_or_none(stop),
        "configVersion": position.config.number,
    }


class Override(Endpoint):
    """A whole override each time: what a `PUT` leaves out is the configuration's again."""

    scopes = {"GET": "positions", "PUT": "config", "DELETE": "config"}

    @describe("getOverride", "Stop and ladder pinned for one position", tag="Trading", answer=OverrideShape)
    def get(self, request: Request, agent_id: str, position_id: str) -> Response:
        return Response(override_wire(_open(request, agent_id, position_id)))

    @describe(
        "setOverride",
        "Pin stop and ladder of one position",
        tag="Trading",
        description="`stopLoss`, `takeProfit`: partial, in the configuration's names. `stopPercent` stands still.",
        body=OverrideBody,
        answer=OverrideShape,
        refusals=("INVALID_CONFIG", "POSITION_NOT_FOUND"),
        example={"stopLoss": {"mode": "fixed", "defaultPercentage": -10}},
    )
    def put(self, request: Request, agent_id: str, position_id: str) -> Response:
        body = read(OverrideBody, request.data)
        position = _open(request, agent_id, position_id)
        sections = {"stopLoss": body.stop_loss, "takeProfit": body.take_profit}
        wanted = {name: _stored(name, section) for name, section in sections.items() if section}
        if not wanted and body.stop_percent is None:
            raise InvalidInput({"": "one of stopLoss, takeProfit and stopPercent is needed; DELETE takes them off"})
        services.position_override(position_id=position.id, override=wanted, stop_percent=body.stop_percent)
        return Response(override_wire(_open(request, agent_id, position_id)))

    @describe(
        "removeOverride",
        "Give a position's stop and ladder back to its configuration",
        tag="Trading",
        description=(
            "The stop itself only rises: one that was pinned above what the configuration asks for stays where it is, "
            "and trails from there; one pinned below it gives way at the next price."
        ),
        answer=OverrideShape,
        refusals=("POSITION_NOT_FOUND",),
    )
    def delete(self, request: Request, agent_id: str, position_id: str) -> Response:
        position = _open(request, agent_id, position_id)
        services.position_override(position_id=position.id, override=None)
        return Response(override_wire(_open(request, agent_id, position_id)))


def _open(request: Request, agent_id: str, position_id: str) -> Position:
    position = owned_position(request.principal, agent_id, position_id)
    if position.closed_at is not None:
        raise NotFound("position")
    return position


def _stored(name: str, section: dict[str, Any]) -> Any:
    try:
        return trading_config.canonical(section)
    except ValueError as problem:
        raise InvalidInput({name: str(problem)}) from problem
