"""New users: registration as the operator allows it, and invitations into a workspace.

An invitation's link is shown once (and mailed when an e-mail is named) and kept as a hash. Whoever registers has a
personal workspace; an accepted invitation is a membership of the inviting one, where the person then acts.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from nexgent import clock
from nexgent.accounts import letters, services
from nexgent.accounts.models import Invitation, Letter, Membership, Role, User, Workspace
from nexgent.api import caps
from nexgent.errors import InvalidInput, NotFound, Refusal

INVITATION_HOURS = 72
INVITATION_HOURS_MAX = 24 * 30
INVITATIONS_MAX = 100


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """`secret` is shown once and never stored."""

    invitation: Invitation
    secret: str = field(repr=False)

    @property
    def url(self) -> str:
        return f"{letters.base_url()}/invitation/{self.secret}/"


def register(*, email: str, password: str, invite: str = "") -> User:
    """A new user, never staff, with a personal workspace.

    Raises `Refusal` REGISTRATION_OFF, INVITE_INVALID, REGISTRATION_REFUSED (a known e-mail), `InvalidInput`.
    """
    if settings.REGISTRATION == "off":
        raise Refusal("REGISTRATION_OFF", "Registration is switched off on this installation.")
    now = clock.now()
    with transaction.atomic():
        invitation = _invitation(invite, now, email=services.email_fold(email)) if invite else None
        if invitation is None and (invite or settings.REGISTRATION == "invite"):
            raise invite_invalid()
        try:
            user = services.user_create(email=email, password=password)
        except Refusal as refusal:
            if refusal.code != "EMAIL_TAKEN":
                raise
            raise Refusal("REGISTRATION_REFUSED", "This e-mail cannot be registered.") from refusal
        if invitation is not None:
            _accept(invitation, user, now)
    return user


def invite(*, workspace_id: UUID, by: User, role: str, email: str = "", hours: int = INVITATION_HOURS) -> NewInvitation:
    """Offer a place in a workspace; mailed when an e-mail is named.

    Raises `InvalidInput`, `Refusal` TOO_MANY_INVITATIONS.
    """
    email = services.email_fold(email)
    problems = {}
    if role not in Role.values:
        problems["role"] = f"must be one of {', '.join(Role.values)}"
    if not 1 <= hours <= INVITATION_HOURS_MAX:
        problems["expiresInHours"] = f"must be 1 to {INVITATION_HOURS_MAX}"
    try:
        if email:
            services.email_check(email)
    except InvalidInput as problem:
        problems |= problem.problems
    if problems:
        raise InvalidInput(problems)
    now, secret = clock.now(), secrets.token_urlsafe(32)
    with transaction.atomic():
        caps.admit(
            _living(now),
            workspace_id=workspace_id,
            most=INVITATIONS_MAX,
            code="TOO_MANY_INVITATIONS",
            things="open invitations",
        )
        invitation = Invitation.objects.create(
            workspace_id=workspace_id,
            role=role,
            email=email,
            secret_hash=letters.link_hash(secret),
            invited_by=by,
            created_at=now,
            expires_at=now + timedelta(hours=hours),
        )
        new = NewInvitation(invitation, secret)
        if email:
            name = Workspace.objects.values_list("name", flat=True).get(id=workspace_id)
            facts = {"url": new.url, "by": by.email, "role": role, "workspace": name}
            letters.post(Letter.Kind.INVITATION, email, **facts)
    return new


def open_invitations(workspace_id: UUID) -> QuerySet[Invitation]:
    """Those that can still be accepted, newest first."""
    rows = _living(clock.now()).filter(workspace_id=workspace_id)
    return rows.select_related("invited_by").order_by("-id")


def invitation_revoke(*, workspace_id: UUID, invitation_id: UUID) -> None:
    """End an open invitation. Raises `NotFound`."""
    alive = Invitation.objects.filter(id=invitation_id, workspace_id=workspace_id, accepted_at=None, revoked_at=None)
    if not alive.update(revoked_at=clock.now()):
        raise NotFound("invitation")


def invitation_of(secret: str) -> Invitation | None:
    """The open invitation of a link."""
    return _good(secret, clock.now()).select_related("workspace", "invited_by").first()


def invitation_accept(*, user: User, secret: str) -> Membership:
    """Take the place that is offered, and act there from now on. Raises `Refusal` INVITE_INVALID."""
    now = clock.now()
    with transaction.atomic():
        invitation = _invitation(secret, now, email=user.email)
        if invitation is None:
            raise invite_invalid()
        return _accept(invitation, user, now)


def workspace_choose(*, user_id: UUID, workspace_id: UUID) -> None:
    """Act in another of one's workspaces. Raises `NotFound` for one that the user is no member of."""
    if not Membership.objects.filter(user_id=user_id, workspace_id=workspace_id).exists():
        raise NotFound("workspace")
    User.objects.filter(pk=user_id).update(chosen_workspace_id=workspace_id)


def invite_invalid() -> Refusal:
    """The one answer to an invitation that is wrong, used, revoked, expired or somebody else's."""
    return Refusal("INVITE_INVALID", "This invitation is not valid, was used already or has expired.")


def _good(secret: str, now: datetime) -> QuerySet[Invitation]:
    return _living(now).filter(secret_hash=letters.link_hash(secret))


def _living(now: datetime) -> QuerySet[Invitation]:
    """Neither used, revoked nor expired, of somebody who is an owner still: who was shown out opens no door."""
    owner = Membership.objects.filter(
        workspace_id=OuterRef("workspace_id"), user_id=OuterRef("invited_by_id"), role=Role.OWNER
    )
    rows = Invitation.objects.filter(Exists(owner), accepted_at=None, revoked_at=None, expires_at__gt=now)
    return rows.filter(invited_by__is_active=True)


def _invitation(secret: str, now: datetime, *, email: str) -> Invitation | None:
    """The invitation, locked, when it is good for this e-mail."""
    found = _good(secret, now).select_for_update(no_key=True, of=("self",)).first()
    return found if found is not None and found.email in ("", email) else None


def _accept(invitation: Invitation, user: User, now: datetime) -> Membership:
    membership, is_new = Membership.objects.get_or_create(
        workspace_id=invitation.workspace_id, user=user, defaults={"role": invitation.role}
    )
    if not is_new:
        raise Refusal("ALREADY_MEMBER", "You are a member of this workspace already.")
    invitation.accepted_at, invitation.accepted_by = now, user
    invitation.save(update_fields=["accepted_at", "accepted_by"])
    User.objects.filter(pk=user.pk).update(chosen_workspace_id=invitation.workspace_id)
    return membership
