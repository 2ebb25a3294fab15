"""Outgoing webhooks: where events are sent to, and the log of what was sent."""

from datetime import timedelta
from typing import Any

from nexgent import clock
from nexgent.events.models import DeliveryState, WebhookDelivery
from tests.contract.cases import ABSENT, Case
from tests.contract.world import World, value

NEW = {"url": "https://bot.example.com/nexgent", "eventTypes": ["position_update"]}


@value("webhookId")
def _webhook_id(world: World) -> str:
    return str(world.post("/webhooks", NEW)["id"])


@value("deliveryId")
def _delivery_id(world: World) -> str:
    """A ping that was given up."""
    found = world.post(f"/webhooks/{world['webhookId']}/ping", status=202)["id"]
    WebhookDelivery.objects.filter(id=found).update(state=DeliveryState.FAILED, finished_at=clock.now())
    return str(found)


@value("busyId")
def _busy_id(world: World) -> str:
    """A delivery that is being sent right now."""
    now = clock.now()
    WebhookDelivery.objects.filter(id=world["deliveryId"]).update(lease_until=now + timedelta(seconds=10))
    return str(world["deliveryId"])


ONE, DELIVERIES = "/webhooks/:webhookId", "/webhooks/:webhookId/deliveries"


def _one(route: str, success: Case, *, of_delivery: bool = False) -> list[Case]:
    cases: list[Any] = [
        success,
        Case(route, 400, "no UUID", path={"webhookId": "x"}, body=success.body),
        Case(route, 403, "by a trader", body=success.body, who="trader", code="AUTHORIZATION_ERROR"),
        Case(route, 404, path={"webhookId": ABSENT}, body=success.body, code="WEBHOOK_NOT_FOUND"),
    ]
    if of_delivery:
        wrong, absent = {"deliveryId": "x"}, {"webhookId": ABSENT}
        cases.append(Case(route, 400, "no UUID of a delivery", path=wrong, fields=("deliveryId",)))
        cases.append(Case(route, 404, "absent delivery", path={"deliveryId": ABSENT}, code="DELIVERY_NOT_FOUND"))
        cases.append(Case(route, 404, "no webhook and no UUID", path={**wrong, **absent}, code="WEBHOOK_NOT_FOUND"))
    return cases


CASES = [
    Case("GET /webhooks", 200, uses=("webhookId",)),
    Case("GET /webhooks", 403, "by a trader", who="trader", code="AUTHORIZATION_ERROR"),
    Case("GET /webhooks", 400, "no cursor of the list", query={"cursor": "x"}, fields=("cursor",)),
    Case("POST /webhooks", 201, body=NEW),
    Case("POST /webhooks", 400, "no address", body={}, fields=("url",)),
    Case("POST /webhooks", 400, "no https", body={"url": "ftp://example.com"}, fields=("url",)),
    Case("POST /webhooks", 403, "by a trader", body=NEW, who="trader", code="AUTHORIZATION_ERROR"),
    *_one(f"GET {ONE}", Case(f"GET {ONE}", 200)),
    *_one(f"PATCH {ONE}", Case(f"PATCH {ONE}", 200, body={"isActive": False})),
    *_one(f"DELETE {ONE}", Case(f"DELETE {ONE}", 200)),
    *_one(f"POST {ONE}/rotate", Case(f"POST {ONE}/rotate", 200)),
    *_one(f"POST {ONE}/ping", Case(f"POST {ONE}/ping", 202)),
    *_one(f"GET {DELIVERIES}", Case(f"GET {DELIVERIES}", 200, uses=("deliveryId",))),
    Case(f"GET {DELIVERIES}", 400, "state", query={"state": "lost"}, fields=("state",)),
    *_one(f"GET {DELIVERIES}/:deliveryId", Case(f"GET {DELIVERIES}/:deliveryId", 200), of_delivery=True),
    *_one(
        f"POST {DELIVERIES}/:deliveryId/redeliver",
        Case(f"POST {DELIVERIES}/:deliveryId/redeliver", 202),
        of_delivery=True,
    ),
    Case(
        f"POST {DELIVERIES}/:deliveryId/redeliver",
        409,
        path={"deliveryId": "{busyId}"},
        code="DELIVERY_IN_PROGRESS",
    ),
]
