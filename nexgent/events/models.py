"""Numbered event streams, alarms, and the webhooks that events are sent to.

One stream per agent and one per workspace. A stream's counter lives in a row of its own, which is the last lock of
every transaction: numbers have no gaps and follow the order of commits.
"""

from django.db import models

from nexgent.ids import uuid7


class Stream(models.Model):
    id = models.UUIDField(primary_key=True)
    seq = models.BigIntegerField(default=0)


class Event(models.Model):
    """A fact that was committed; `payload` is the complete wire JSON of the message's `data`."""

    pk = models.CompositePrimaryKey("stream_id", "seq")
    stream = models.ForeignKey(Stream, models.PROTECT, db_index=False)
    seq = models.BigIntegerField()
    type = models.CharField(max_length=40)
    payload = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["at"], name="event_at")]


class EventRow(models.Model):
    """The events as a view with one key column, for the admin, which knows no composite keys."""

    id = models.CharField(primary_key=True, max_length=60)
    stream_id = models.UUIDField()
    seq = models.BigIntegerField()
    type = models.CharField(max_length=40)
    payload = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "events_eventrow"
        verbose_name = "event"


class Alarm(models.Model):
    """Something a person must know: what, about whom, since when, and when it ended."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.CharField(max_length=40)
    subject = models.CharField(max_length=120)
    workspace_id = models.UUIDField(null=True, blank=True)
    """None: about the installation."""
    agent_id = models.UUIDField(null=True, blank=True)
    """Of what it is about; members who may not see the agent do not see its alarms."""
    detail = models.JSONField(default=dict)
    since = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["code", "subject"], name="alarm_once", condition=models.Q(cleared_at__isnull=True)
            )
        ]


class Webhook(models.Model):
    """Somebody else's address that events of a workspace are sent to, at least once each, signed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    url = models.URLField(max_length=1000)
    secret = models.TextField(editable=False)
    """Sealed (`nexgent.sealing`)."""
    event_types = models.JSONField(default=list)
    """Empty: all."""
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.url


class WebhookCursor(models.Model):
    """Up to which number a webhook has taken the events of a stream; none: nothing yet."""

    pk = models.CompositePrimaryKey("webhook_id", "stream_id")
    webhook = models.ForeignKey(Webhook, models.CASCADE, db_index=False)
    stream_id = models.UUIDField()
    seq = models.BigIntegerField()


class DeliveryState(models.IntegerChoices):
    WAITING = 0, "waiting"
    DELIVERED = 1, "delivered"
    FAILED = 2, "failed"


class WebhookDelivery(models.Model):
    """One event on its way to one webhook. The row is the queue: due at `due_at`, worked on until `lease_until`."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    webhook = models.ForeignKey(Webhook, models.CASCADE, db_index=False, related_name="deliveries")
    stream_id = models.UUIDField()
    seq = models.BigIntegerField(null=True)
    """None: a ping that a person asked for."""
    type = models.CharField(max_length=40)
    body = models.TextField()
    """The JSON text that is sent, the same at every attempt."""
    state = models.SmallIntegerField(choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.IntegerField(default=0)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["webhook", "stream_id", "seq"], name="webhook_event_once")]
        indexes = [
            models.Index(fields=["due_at"], name="webhook_delivery_due", condition=models.Q(state=0)),
            models.Index(fields=["webhook", "-id"], name="webhook_delivery_log"),
            models.Index(fields=["finished_at"], name="webhook_delivery_old"),
        ]


class WebhookAttempt(models.Model):
    """One try of a delivery: what the receiver answered, or why it could not be asked."""

    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    status = models.IntegerField(null=True)
    milliseconds = models.IntegerField()
    error = models.CharField(max_length=200, blank=True)
    answer = models.CharField(max_length=500, blank=True)
