"""`/webhooks`: where events are sent to, what was sent, and sending again. Webhooks live below accounts; who may manage
them is decided here.
"""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent.accounts.endpoints import Endpoint, mine, one
from nexgent.accounts.models import Role
from nexgent.accounts.webhook_shapes import AttemptsShape, DeliveryShape, NewWebhookShape, WebhookShape
from nexgent.api import pagination, query
from nexgent.api.bodies import Body, Trimmed, read
from nexgent.api.openapi import choice, describe, window
from nexgent.api.pagination import Listing, by_id
from nexgent.api.shapes import Done
from nexgent.api.wire import stamp, stamp_or_none
from nexgent.errors import NotFound
from nexgent.events import webhooks
from nexgent.events.models import DeliveryState, Webhook, WebhookAttempt, WebhookDelivery
from nexgent.events.types import EVENT_TYPES

TAG = "Webhooks"
_STATES = {state.label: state.value for state in DeliveryState}
LISTING = Listing(keys={"createdAt": by_id("id")}, tie=by_id("id"), default="-createdAt", limit_default=None)
DELIVERIES = Listing(keys={"createdAt": by_id("id")}, tie=by_id("id"), default="-createdAt")


EventType = Annotated[Trimmed, WithJsonSchema({"type": "string", "enum": list(EVENT_TYPES)})]


class WebhookBody(Body):
    url: Trimmed
    event_types: list[EventType] = Field(default=[], description="Empty: all.")


class WebhookPatch(Body):
    url: Trimmed | None = None
    event_types: list[EventType] | None = None
    is_active: bool | None = None


def webhook_wire(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "eventTypes": webhook.event_types,
        "isActive": webhook.is_active,
        "createdAt": stamp(webhook.created_at),
    }


def delivery_wire(delivery: WebhookDelivery) -> dict[str, Any]:
    is_waiting = delivery.state == DeliveryState.WAITING
    return {
        "id": delivery.id,
        "webhookId": delivery.webhook_id,
        "type": delivery.type,
        "seq": delivery.seq,
        "state": DeliveryState(delivery.state).label,
        "attempts": delivery.attempts,
        "createdAt": stamp(delivery.created_at),
        "nextAttemptAt": stamp(delivery.due_at) if is_waiting else None,
        "finishedAt": stamp_or_none(delivery.finished_at),
    }


def attempt_wire(attempt: WebhookAttempt) -> dict[str, Any]:
    return {
        "at": stamp(attempt.at),
        "status": attempt.status,
        "milliseconds": attempt.milliseconds,
        "error": attempt.error or None,
        "answer": attempt.answer,
    }


def _webhook(request: Request, webhook_id: str) -> Webhook:
    return one(Webhook.objects.all(), request.principal, webhook_id, what="webhook")


class Webhooks(Endpoint):
    roles = {"GET": Role.OWNER, "POST": Role.OWNER}

    @describe(
        "listWebhooks",
        "Addresses that events are sent to",
        tag=TAG,
        answer=list[WebhookShape],
        query=window(LISTING),
    )
    def get(self, request: Request) -> Response:
        return pagination.listed(request, LISTING, mine(Webhook.objects.all(), request.principal), wire=webhook_wire)

    @describe(
        "createWebhook",
        "Send events to an address",
        tag=TAG,
        description="The secret that signs the messages is in this answer only.",
        body=WebhookBody,
        answer=NewWebhookShape,
        status=201,
        refusals=("TOO_MANY_WEBHOOKS",),
        example={"url": "https://bot.example.com/nexgent", "eventTypes": ["position_update"]},
    )
    def post(self, request: Request) -> Response:
        body = read(WebhookBody, request.data)
        new = webhooks.webhook_create(
            workspace_id=request.principal.workspace_id, url=body.url, event_types=body.event_types
        )
        return Response({**webhook_wire(new.webhook), "secret": new.secret}, status=201)


class OneWebhook(Endpoint):
    roles = {"GET": Role.OWNER, "PATCH": Role.OWNER, "DELETE": Role.OWNER}

    @describe("getWebhook", "One webhook", tag=TAG, answer=WebhookShape)
    def get(self, request: Request, webhook_id: str) -> Response:
        return Response(webhook_wire(_webhook(request, webhook_id)))

    @describe(
        "changeWebhook",
        "Change a webhook or switch it off",
        tag=TAG,
        description="What is not sent stays. One that was off gets what happened meanwhile, as far as it is kept.",
        body=WebhookPatch,
        answer=WebhookShape,
        example={"isActive": False},
    )
    def patch(self, request: Request, webhook_id: str) -> Response:
        webhook, body = _webhook(request, webhook_id), read(WebhookPatch, request.data)
        webhooks.webhook_change(webhook, url=body.url, event_types=body.event_types, is_active=body.is_active)
        return Response(webhook_wire(webhook))

    @describe("deleteWebhook", "Delete a webhook with its log", tag=TAG, answer=Done)
    def delete(self, request: Request, webhook_id: str) -> Response:
        _webhook(request, webhook_id).delete()
        return Response({"success": True, "message": "Webhook deleted."})


class RotateSecret(Endpoint):
    roles = {"POST": Role.OWNER}

    @describe("rotateWebhookSecret", "A new secret for a webhook", tag=TAG, answer=NewWebhookShape)
    def post(self, request: Request, webhook_id: str) -> Response:
        new = webhooks.webhook_rotate(_webhook(request, webhook_id))
        return Response({**webhook_wire(new.webhook), "secret": new.secret})


class Ping(Endpoint):
    roles = {"POST": Role.OWNER}

    @describe("pingWebhook", "Send a message of type ping", tag=TAG, answer=DeliveryShape, status=202)
    def post(self, request: Request, webhook_id: str) -> Response:
        return Response(delivery_wire(webhooks.ping(_webhook(request, webhook_id))), status=202)


class Deliveries(Endpoint):
    roles = {"GET": Role.OWNER}

    @describe(
        "listDeliveries",
        "What was sent to a webhook",
        tag=TAG,
        answer=list[DeliveryShape],
        query=(*window(DELIVERIES), choice("state", _STATES, "Only those.")),
    )
    def get(self, request: Request, webhook_id: str) -> Response:
        rows = WebhookDelivery.objects.filter(webhook_id=_webhook(request, webhook_id).id)
        state = query.choice(request, "state", _STATES)
        if state is not None:
            rows = rows.filter(state=_STATES[state])
        return pagination.listed(request, DELIVERIES, rows, wire=delivery_wire)


class OneDelivery(Endpoint):
    roles = {"GET": Role.OWNER}

    @describe("getDelivery", "One delivery with its body and attempts", tag=TAG, answer=AttemptsShape)
    def get(self, request: Request, webhook_id: str, delivery_id: str) -> Response:
        webhook = _webhook(request, webhook_id)
        delivery = webhook.deliveries.filter(id=query.uuid_of(delivery_id, "deliveryId")).first()
        if delivery is None:
            raise NotFound("delivery")
        tries = [attempt_wire(attempt) for attempt in delivery.tries.order_by("id")]
        return Response({**delivery_wire(delivery), "body": delivery.body, "tries": tries})


class Redeliver(Endpoint):
    roles = {"POST": Role.OWNER}

    @describe(
        "redeliver",
        "Send a delivery again",
        tag=TAG,
        description="The same body with the same idempotency key.",
        answer=DeliveryShape,
        status=202,
        refusals=("DELIVERY_IN_PROGRESS",),
    )
    def post(self, request: Request, webhook_id: str, delivery_id: str) -> Response:
        webhook = _webhook(request, webhook_id)
        again = webhooks.redeliver(webhook, query.uuid_of(delivery_id, "deliveryId"))
        return Response(delivery_wire(again), status=202)
