"""Signals and the verdict of every agent on every signal."""

from django.db import models

from nexgent.ids import uuid7


class Side(models.TextChoices):
    BUY = "buy"
    SELL = "sell"


class Signal(models.Model):
    """A hint to trade, as received. The row is the queue: `drained_at` is empty until every verdict exists."""

    id = models.BigAutoField(primary_key=True)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, db_index=False, related_name="signals")
    user = models.ForeignKey("accounts.User", models.PROTECT, db_index=False, related_name="+")
    api_key_id = models.UUIDField(null=True, blank=True)
    token_address = models.CharField(max_length=44)
    symbol = models.CharField(max_length=50, blank=True)
    signal_type = models.CharField(max_length=50)
    signal_strength = models.SmallIntegerField()
    side = models.CharField(max_length=4, choices=Side, default=Side.BUY)
    activation_reason = models.TextField(blank=True)
    source = models.CharField(max_length=100, blank=True)
    external_ref = models.CharField(max_length=100, blank=True)
    dry_run = models.BooleanField(default=False)
    revision = models.IntegerField(default=1)
    received_at = models.DateTimeField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    drained_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    """A drain that works on the signal; an expired lease is an orphan."""
    hidden_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "-id"], name="signal_workspace"),
            models.Index(fields=["id"], name="signal_waiting", condition=models.Q(drained_at__isnull=True)),
            models.Index(
                fields=["workspace", "external_ref"], name="signal_reference", condition=~models.Q(external_ref="")
            ),
        ]


class DuplicateGuard(models.Model):
    """The 60 s duplicate rule: the newest signal of (user, token, type, strength). One row per key, kept in place."""

    key = models.UUIDField(primary_key=True)
    signal_id = models.BigIntegerField()
    at = models.DateTimeField()


class Verdict(models.Model):
    """What one agent made of one signal: all reasons, and the order it led to (none: skipped).

    What became of it (PENDING, EXECUTED, FAILED) and the stamps of its stages stand on the order.
    """

    pk = models.CompositePrimaryKey("signal_id", "agent_id")
    signal = models.ForeignKey(Signal, models.PROTECT, db_index=False, related_name="verdicts")
    agent = models.ForeignKey("agents.Agent", models.PROTECT, db_index=False, related_name="+")
    reasons = models.JSONField(default=list)
    order = models.ForeignKey("trading.Order", models.PROTECT, null=True, db_index=False, related_name="+")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["agent", "signal"], name="verdict_agent")]


class SignalRevision(models.Model):
    """What a signal said before it was changed; verdicts given until `replaced_at` rest on it."""

    signal = models.ForeignKey(Signal, models.PROTECT, db_index=False, related_name="revisions")
    number = models.IntegerField()
    content = models.JSONField()
    replaced_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["signal", "number"], name="signal_revision_once")]


class VerdictRow(models.Model):
    """Verdicts for the admin, which cannot show composite keys: a read-only view with a text id."""

    id = models.CharField(max_length=60, primary_key=True)
    signal = models.ForeignKey(Signal, models.DO_NOTHING, related_name="+")
    agent = models.ForeignKey("agents.Agent", models.DO_NOTHING, related_name="+")
    order = models.ForeignKey("trading.Order", models.DO_NOTHING, null=True, related_name="+")
    reasons = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "signals_verdict_row"
        verbose_name = "verdict"


class SignalHook(models.Model):
    """An address of ours that somebody else's alerts become signals at. The path is a credential: stored as a hash."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="+")
    user = models.ForeignKey("accounts.User", models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    path_hash = models.CharField(max_length=64)
    prefix = models.CharField(max_length=12)
    secret = models.TextField(blank=True, editable=False)
    """Sealed (`nexgent.sealing`); empty: the path alone is believed."""
    template = models.JSONField(default=dict)
    """Fields of a signal with places of the message; empty: the message is the signal."""
    window_seconds = models.IntegerField(default=300)
    is_active = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    addresses = models.JSONField(default=list, db_default=[], blank=True)
    """Networks (CIDR) that may send; empty: from anywhere."""
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["path_hash"], name="signal_hook_path")]

    def __str__(self) -> str:
        return self.name


class SeenMessage(models.Model):
    """A signed message that a hook has taken; kept until its time is too old to be believed again."""

    pk = models.CompositePrimaryKey("hook_id", "code")
    hook = models.ForeignKey(SignalHook, models.CASCADE, db_index=False, related_name="+")
    code = models.CharField(max_length=64)
    good_until = models.DateTimeField(db_index=True)
