"""What all endpoints share in the database: the answers kept for `Idempotency-Key`."""

from django.db import models


class IdempotentAnswer(models.Model):
    """One request per (principal, route, key): its body's hash and, once finished, the answer. Kept 24 hours."""

    principal = models.CharField(max_length=80)
    route = models.CharField(max_length=120)
    key = models.CharField(max_length=200)
    body_hash = models.CharField(max_length=64)
    status = models.SmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    """The body as one JSON string, so that a replay is byte for byte the first answer."""
    claimed_until = models.DateTimeField(null=True)
    """Somebody works on it until then (requests that wait for an order)."""
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["principal", "route", "key"], name="idempotency_once")]
