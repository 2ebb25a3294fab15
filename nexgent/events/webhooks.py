"""Outgoing webhooks: which addresses of a workspace hear of which events. `webhook_queue` makes the deliveries,
`webhook_delivery` sends them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from django.db import transaction

from nexgent import clock
from nexgent.api import caps
from nexgent.api.wire import stamp
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.events import bell, registry, selectors
from nexgent.events.models import DeliveryState, Webhook, WebhookCursor, WebhookDelivery
from nexgent.events.types import EVENT_TYPES
from nexgent.ids import uuid7
from nexgent.sealing import seal

PER_WORKSPACE_MAX = 20
TYPES_MAX = 50
PURPOSE = "webhooks"
DRAIN = "events.webhooks"
_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """`secret` is shown once; what is stored of it is sealed."""

    webhook: Webhook
    secret: str


def webhook_create(*, workspace_id: UUID, url: str, event_types: Sequence[str] = ()) -> NewWebhook:
    """A webhook that hears what happens from now on.

    Raises `InvalidInput` for no web address or a bad type, `Refusal` TOO_MANY_WEBHOOKS.
    """
    _check(url, event_types)
    secret = _new_secret()
    with transaction.atomic():
        caps.admit(
            Webhook.objects.all(),
            workspace_id=workspace_id,
            most=PER_WORKSPACE_MAX,
            code="TOO_MANY_WEBHOOKS",
            things="webhooks",
        )
        webhook = Webhook.objects.create(
            workspace_id=workspace_id,
            url=url,
            secret=seal(secret, purpose=PURPOSE),
            event_types=list(dict.fromkeys(event_types)),
            created_at=clock.now(),
        )
        newest = selectors.seqs(registry.workspace_streams(workspace_id))
        WebhookCursor.objects.bulk_create(
            WebhookCursor(webhook=webhook, stream_id=stream_id, seq=seq) for stream_id, seq in newest.items()
        )
    return NewWebhook(webhook, secret)


def webhook_change(
    webhook: Webhook,
    *,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    is_active: bool | None = None,
) -> Webhook:
    """Change what is given; one that is switched on again hears all that is still kept. Raises `InvalidInput`."""
    webhook.url = webhook.url if url is None else url
    webhook.event_types = webhook.event_types if event_types is None else list(dict.fromkeys(event_types))
    webhook.is_active = webhook.is_active if is_active is None else is_active
    _check(url, event_types or ())  # what is stored may be older than today's rules
    webhook.save(update_fields=["url", "event_types", "is_active"])
    return webhook


def webhook_rotate(webhook: Webhook) -> NewWebhook:
    """A new secret; attempts from now on are signed with it."""
    secret = _new_secret()
    webhook.secret = seal(secret, purpose=PURPOSE)
    webhook.save(update_fields=["secret"])
    return NewWebhook(webhook, secret)


def ping(webhook: Webhook) -> WebhookDelivery:
    """Send a message of type "ping", as a person asks who wants to see that it works."""
    now, delivery_id = clock.now(), uuid7()
    body = {"id": str(delivery_id), "type": "ping", "workspaceId": str(webhook.workspace_id), "timestamp": stamp(now)}
    with transaction.atomic():
        delivery = WebhookDelivery.objects.create(
            id=delivery_id,
            webhook=webhook,
            stream_id=webhook.workspace_id,
            type="ping",
            body=orjson.dumps({**body, "data": {}}).decode(),
            created_at=now,
            due_at=now,
        )
        bell.task(DRAIN, queue="default")
    return delivery


def redeliver(webhook: Webhook, delivery_id: UUID) -> WebhookDelivery:
    """Send a delivery again, the same body with the same number. Raises `NotFound`, `Refusal` DELIVERY_IN_PROGRESS."""
    now = clock.now()
    with transaction.atomic():
        delivery = webhook.deliveries.select_for_update(no_key=True).filter(id=delivery_id).first()
        if delivery is None:
            raise NotFound("delivery")
        if delivery.lease_until is not None and delivery.lease_until > now:
            raise Refusal("DELIVERY_IN_PROGRESS", "This delivery is being sent right now.")
        delivery.state, delivery.attempts = DeliveryState.WAITING, 0
        delivery.due_at, delivery.finished_at, delivery.lease_until = now, None, None
        delivery.save(update_fields=["state", "attempts", "due_at", "finished_at", "lease_until"])
        bell.task(DRAIN, queue="default")
    return delivery


def _new_secret() -> str:
    return _PREFIX + secrets.token_urlsafe(32)


def _check(url: str | None, event_types: Sequence[str]) -> None:
    problems = {}
    if url is not None and not _is_web_address(url):
        problems["url"] = "must start with https:// or http://, name a host, and have at most 1000 characters"
    if not set(event_types) <= set(EVENT_TYPES) or len(event_types) > TYPES_MAX:
        problems["eventTypes"] = f"must be at most {TYPES_MAX} of {', '.join(EVENT_TYPES)}"
    if problems:
        raise InvalidInput(problems)


def _is_web_address(url: str) -> bool:
    if len(url) > 1000 or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False
