"""Agents: what trades, with which configuration, from which wallet."""

from django.db import models

from nexgent.ids import uuid7


class Mode(models.TextChoices):
    SIMULATION = "simulation"
    LIVE = "live"


class Profile(models.TextChoices):
    """Of the simulated venue: fills exactly at the price, or with impact, fees, delay and failure."""

    IDEAL = "ideal"
    REALISTIC = "realistic"


class Agent(models.Model):
    """A strategy with its switches. `policy_version` rises with every change of switches or configuration."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.PROTECT, related_name="agents")
    user = models.ForeignKey("accounts.User", models.PROTECT, db_index=False, related_name="+")
    name = models.CharField(max_length=50)
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.SIMULATION)
    entries_simulation = models.BooleanField(default=True)
    entries_live = models.BooleanField(default=True)
    exits_simulation = models.BooleanField(default=True)
    exits_live = models.BooleanField(default=True)
    profile = models.CharField(max_length=10, choices=Profile, default=Profile.REALISTIC)
    config = models.ForeignKey("ConfigVersion", models.PROTECT, null=True, db_index=False, related_name="+")
    policy_version = models.IntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    archived_at = models.DateTimeField(null=True, blank=True)


class ConfigVersion(models.Model):
    """One immutable version of an agent's trading configuration, complete, in wire names."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="config_versions", db_index=False)
    number = models.IntegerField()
    data = models.JSONField()
    author = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "number"], name="config_version_number")]


class Assignment(models.Model):
    """The period in which an agent trades from a wallet; one open period per (agent, mode) and per wallet."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    agent = models.ForeignKey(Agent, models.PROTECT, related_name="assignments")
    wallet = models.ForeignKey("wallets.Wallet", models.PROTECT, related_name="assignments")
    mode = models.CharField(max_length=10, choices=Mode)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "mode"], name="assignment_agent_open", condition=models.Q(ended_at__isnull=True)
            ),
            models.UniqueConstraint(
                fields=["wallet"], name="assignment_wallet_open", condition=models.Q(ended_at__isnull=True)
            ),
        ]
