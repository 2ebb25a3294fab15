"""Who may act: users, their workspaces and API keys. Every owned row of the product carries a `workspace_id`."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Now

from nexgent.ids import uuid7


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

    USERNAME_FIELD = "email"
    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email"], name="user_email")]


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
    """A bot's credential: shown once, stored as SHA-256; its prefix stays readable."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey(Workspace, models.PROTECT, related_name="api_keys")
    user = models.ForeignKey(User, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    key_hash = models.CharField(max_length=64)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key_hash"], name="api_key_hash")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class LoginGuard(models.Model):
    """Failed sign-ins of one e-mail from one address, known or not; counted by one atomic statement per attempt."""

    key = models.UUIDField(primary_key=True)
    email = models.CharField(max_length=255)
    address = models.CharField(max_length=45)
    failures = models.IntegerField(default=0)
    locked_until = models.DateTimeField(null=True, blank=True)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.email} from {self.address}"


class TokenSession(models.Model):
    """A stored API session: the refresh token's id (jti); dies on logout, password change or revoke-all.

    A rotating session gives a new refresh token with every use; the one before it stays good for 20 s, so that
    parallel calls of one client do not end the session, and ends it afterwards: it was stolen.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="token_sessions")
    jti = models.UUIDField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    is_rotating = models.BooleanField(default=False)
    lifetime_seconds = models.IntegerField(default=86_400)
    previous_jti = models.UUIDField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["jti"], name="token_session_jti")]

    def __str__(self) -> str:
        return f"session {self.id}"


class RevokedToken(models.Model):
    """An access token that was ended before its time (logout)."""

    jti = models.UUIDField(primary_key=True)
    expires_at = models.DateTimeField(db_index=True)


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
