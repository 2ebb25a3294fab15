"""Numbered event streams and alarms.

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
    detail = models.JSONField(default=dict)
    since = models.DateTimeField()
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["code", "subject"], name="alarm_once", condition=models.Q(cleared_at__isnull=True)
            )
        ]
