"""Who may act: users, their workspaces and API keys. Every owned row of the product carries a `workspace_id`.

What opens and ends their sessions, and the letters they get, stands in `credentials.py`.
"""

from typing import Any

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Now

from nexgent.ids import uuid7
from nexgent.rows import UnitsField


class Role(models.TextChoices):
    VIEWER = "viewer"
    AUDITOR = "auditor"
    TRADER = "trader"
    OWNER = "owner"


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person; signs in by e-mail (folded to lower case)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(max_length=255)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    must_change_password = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    chosen_workspace = models.ForeignKey("Workspace", models.SET_NULL, null=True, blank=True, related_name="+")
    """Where the user acts, of the workspaces they are a member of; empty: the first one."""

    USERNAME_FIELD = "email"
    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email"], name="user_email")]

    def check_password(self, raw_password: str) -> bool:
        """Whether this is the password. A hash of old parameters is renewed, unless it was changed meanwhile: Django's
        own renewal would bring the old password back.
        """

        def renew(password: str) -> None:
            new, rows = make_password(password), User.objects.filter(pk=self.pk, password=self.password)
            if rows.update(password=new):
                self.password = new

        return check_password(raw_password, self.password, renew)


class Workspace(models.Model):
    """The owner of agents, signals and keys; one personal workspace per user for now."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.OWNER)
    is_limited = models.BooleanField(default=False, db_default=False)
    """Sees and uses the agents it has grants for only; an owner never is."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"


class ApiKey(models.Model):
    """A bot's credential: shown once, stored as SHA-256; its prefix stays readable.

    After a rotation the secret before it stays good until `previous_until`. Empty limits mean none.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="api_keys")
    user = models.ForeignKey(User, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    key_hash = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    previous_hash = models.CharField(max_length=64, null=True, blank=True)
    previous_until = models.DateTimeField(null=True, blank=True)
    addresses = models.JSONField(default=list, blank=True)
    """Networks (CIDR) it may be used from; empty: from anywhere."""
    spend_limit_lamports = UnitsField(null=True, blank=True)
    """Per UTC day, over all entries that its signals lead to."""
    rate_per_minute = models.IntegerField(null=True, blank=True)
    signing_secret = models.CharField(max_length=200, blank=True, default="", db_default="")
    """Sealed (`nexgent.sealing`); empty: its requests need no signature."""
    previous_signing_secret = models.CharField(max_length=200, blank=True, default="", db_default="")
    """Of the secret before; good as long as that one is."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key_hash"], name="api_key_hash"),
            models.UniqueConstraint(fields=["previous_hash"], name="api_key_previous_hash"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class KeyUse(models.Model):
    """When a key was last used, and from where; written once a minute. Its own row: the audit trail follows the key."""

    key = models.OneToOneField(ApiKey, models.CASCADE, primary_key=True, related_name="use")
    at = models.DateTimeField()
    address = models.CharField(max_length=45, blank=True)

    def __str__(self) -> str:
        return f"{self.key_id} at {self.at}"


class KeySpend(models.Model):
    """What the signals of a key with a spend limit have committed on one UTC day."""

    pk = models.CompositePrimaryKey("key_id", "day")
    key = models.ForeignKey(ApiKey, models.CASCADE, db_index=False, related_name="spends")
    day = models.DateField()
    lamports = UnitsField(default=0)


class SeenSignature(models.Model):
    """The signature of a request that may change something: not good a second time; forgotten when it is too old."""

    pk = models.CompositePrimaryKey("key_id", "code")
    key = models.ForeignKey(ApiKey, models.CASCADE, db_index=False, related_name="+")
    code = models.CharField(max_length=64)
    good_until = models.DateTimeField(db_index=True)


class AgentGrant(models.Model):
    """An agent that a limited member may see and use."""

    membership = models.ForeignKey(Membership, models.CASCADE, related_name="grants")
    agent = models.ForeignKey("agents.Agent", models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["membership", "agent"], name="agent_grant_once")]

    def __str__(self) -> str:
        return f"{self.membership_id}: {self.agent_id}"


class AuditEntry(models.Model):
    """One change of something tracked: written by triggers of the database, never changed (`migrations/_audit.py`).

    Ids are facts without foreign keys, since what they name may be deleted. `before` and `after` hold the columns that
    changed; of secrets only that they did.
    """

    at = models.DateTimeField(db_default=Now())
    workspace_id = models.UUIDField(null=True)
    agent_id = models.UUIDField(null=True)
    kind = models.CharField(max_length=20)
    object_id = models.CharField(max_length=100)
    action = models.CharField(max_length=10)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.UUIDField(null=True)
    actor = models.CharField(max_length=255)
    address = models.CharField(max_length=45)
    client = models.CharField(max_length=60)
    request_id = models.CharField(max_length=64)
    route = models.CharField(max_length=200)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["workspace_id", "-id"], name="audit_workspace"),
            models.Index(fields=["kind", "object_id", "-id"], name="audit_object"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id} {self.action}"


from nexgent.accounts.credentials import (  # noqa: E402  (models of the same app, in a file of their own)
    Invitation,
    Letter,
    LoginGuard,
    MailedLink,
    PageSession,
    RevokedToken,
    TokenSession,
)

__all__ = [
    "AgentGrant",
    "ApiKey",
    "AuditEntry",
    "Invitation",
    "KeySpend",
    "KeyUse",
    "Letter",
    "LoginGuard",
    "MailedLink",
    "Membership",
    "PageSession",
    "RevokedToken",
    "Role",
    "SeenSignature",
    "TokenSession",
    "User",
    "UserManager",
    "Workspace",
]
