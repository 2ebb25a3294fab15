"""What webhooks and their deliveries look like in answers (`nexgent.api.shapes`)."""

from typing import Literal

from nexgent.api.shapes import Shape, Stamp, Uuid


class WebhookShape(Shape):
    id: Uuid
    url: str
    event_types: list[str]
    is_active: bool
    created_at: Stamp


class NewWebhookShape(WebhookShape):
    """`secret` signs the messages; it is told here only."""

    secret: str


class DeliveryShape(Shape):
    """`seq` is the event's number in its stream; null for a ping."""

    id: Uuid
    webhook_id: Uuid
    type: str
    seq: int | None
    state: Literal["waiting", "delivered", "failed"]
    attempts: int
    created_at: Stamp
    next_attempt_at: Stamp | None
    finished_at: Stamp | None


class AttemptShape(Shape):
    """`status` is null when nobody answered; `answer` is how the receiver's answer began."""

    at: Stamp
    status: int | None
    milliseconds: int
    error: str | None
    answer: str


class AttemptsShape(DeliveryShape):
    """`body` is the text that was sent; `tries` are its attempts, the first one first."""

    body: str
    tries: list[AttemptShape]
