"""What lets a person in, for how long, and the letters about it: sessions, tokens, counters, links, invitations.

Secrets are kept as hashes; a link's secret exists only in its letter.
"""

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models

from nexgent.ids import uuid7


class LoginGuard(models.Model):
    """Attempts on one subject (an e-mail from an address, a user's second factor); one atomic statement counts each."""

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
    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="token_sessions")
    jti = models.UUIDField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    is_rotating = models.BooleanField(default=False)
    lifetime_seconds = models.IntegerField(default=86_400)
    previous_jti = models.UUIDField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    proved_at = models.DateTimeField(null=True, blank=True)
    """When this person last showed password or second factor in this session."""
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["jti"], name="token_session_jti")]

    def __str__(self) -> str:
        return f"session {self.id}"


class RevokedToken(models.Model):
    """An access token that was ended before its time (logout)."""

    jti = models.UUIDField(primary_key=True)
    expires_at = models.DateTimeField(db_index=True)


class PageSession(AbstractBaseSession):
    """A session of the pages: Django's row, with whose it is and what the list of sessions shows."""

    public_id = models.UUIDField(default=uuid7)
    """The id that others may see; the key is the secret. Not unique: a session whose key changes has two rows for a
    moment."""
    user = models.ForeignKey("accounts.User", models.CASCADE, null=True, related_name="page_sessions")
    created_at = models.DateTimeField()
    used_at = models.DateTimeField()
    address = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"session {self.public_id}"


class MailedLink(models.Model):
    """A link that was mailed: good once, for a while. The new e-mail is that of a change of e-mail."""

    class Kind(models.TextChoices):
        RESET = "reset"
        EMAIL = "email"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="+")
    secret_hash = models.CharField(max_length=64)
    email = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["secret_hash"], name="mailed_link_secret")]

    def __str__(self) -> str:
        return f"{self.kind} link of {self.user_id}"


class Letter(models.Model):
    """A letter to write and send; the row is the queue. Whoever asks waits for nothing, whether the e-mail is known."""

    class Kind(models.TextChoices):
        RESET = "reset"
        EMAIL = "email"
        NOTICE = "notice"
        INVITATION = "invitation"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    to = models.CharField(max_length=255)
    facts = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(db_index=True)
    attempts = models.SmallIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.kind} letter {self.id}"


class Invitation(models.Model):
    """A place in a workspace, in a role, for whoever has the link (of that e-mail, when one is named)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    workspace = models.ForeignKey("accounts.Workspace", models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10)
    email = models.CharField(max_length=255, blank=True)
    secret_hash = models.CharField(max_length=64)
    invited_by = models.ForeignKey("accounts.User", models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey("accounts.User", models.SET_NULL, null=True, blank=True, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["secret_hash"], name="invitation_secret")]

    def __str__(self) -> str:
        return f"invitation {self.id} ({self.role})"
