"""Use cases of memberships: roles, and which agents a limited member may see and use.

A member sees all agents of the workspace until an owner limits them to named ones; then what is not named does not
exist for them, and an empty list is nothing at all. Owners are never limited. A limited member writes no signals: a
signal reaches every agent of the workspace.
"""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from nexgent import clock
from nexgent.accounts.models import AgentGrant, ApiKey, Membership, Role, Workspace
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.events import control

AGENTS_MAX = 1000


def members(workspace_id: UUID) -> QuerySet[Membership]:
    """The workspace's memberships with their users and grants, in the order they came."""
    rows = Membership.objects.filter(workspace_id=workspace_id).select_related("user").prefetch_related("grants")
    return rows.order_by("id")


def member(workspace_id: UUID, user_id: UUID) -> Membership:
    """One membership. Raises `NotFound`."""
    found = members(workspace_id).filter(user_id=user_id).first()
    if found is None:
        raise NotFound("member")
    return found


def grants_set(
    *, workspace_id: UUID, user_id: UUID, agent_ids: Collection[UUID] | None, known: Collection[UUID]
) -> Membership:
    """Limit a member to these agents; None lifts the limit. `known` are the workspace's agents.

    Open connections of the member end and open again with the new rights. Raises `NotFound` for a member or an agent
    that is not of this workspace, `InvalidInput` for an owner.
    """
    with transaction.atomic():
        found = _locked(workspace_id, user_id)
        if agent_ids is not None and found.role == Role.OWNER:
            raise InvalidInput({"agentIds": "an owner sees all agents; change the role first"})
        if agent_ids is not None and not set(agent_ids) <= set(known):
            raise NotFound("agent")
        wanted = set(agent_ids or ())
        had = set(AgentGrant.objects.filter(membership=found).values_list("agent_id", flat=True))
        AgentGrant.objects.filter(membership=found, agent_id__in=had - wanted).delete()
        AgentGrant.objects.bulk_create(
            [AgentGrant(membership=found, agent_id=agent_id) for agent_id in sorted(wanted - had)]
        )
        found.is_limited = agent_ids is not None
        found.save(update_fields=["is_limited"])
        control.sign_out(user_id)
    return member(workspace_id, user_id)


def role_set(*, workspace_id: UUID, user_id: UUID, role: str) -> Membership:
    """Give a member another role. Raises `NotFound`, `InvalidInput`, `Refusal` LAST_OWNER."""
    if role not in Role.values:
        raise InvalidInput({"role": f"must be one of {', '.join(Role.values)}"})
    with transaction.atomic():
        found = _locked(workspace_id, user_id)
        if role != Role.OWNER:
            _refuse_last_owner(found)
        found.role = role
        found.save(update_fields=["role"])
        control.sign_out(user_id)
    return member(workspace_id, user_id)


def member_remove(*, workspace_id: UUID, user_id: UUID) -> None:
    """End a membership; keys of the person in this workspace end with it, for good. Whoever has no other workspace
    gets a personal one: without any they could not even accept an invitation. Raises `NotFound`, `Refusal` LAST_OWNER.
    """
    with transaction.atomic():
        found = _locked(workspace_id, user_id)
        _refuse_last_owner(found)
        found.delete()
        keys = ApiKey.objects.filter(user_id=user_id, workspace_id=workspace_id, revoked_at=None)
        keys.update(revoked_at=clock.now())
        if not Membership.objects.filter(user_id=user_id).exists():
            own = Workspace.objects.create(name=found.user.email[:100])
            Membership.objects.create(workspace=own, user_id=user_id, role=Role.OWNER)
        control.sign_out(user_id)


def _locked(workspace_id: UUID, user_id: UUID) -> Membership:
    """The membership, with all of the workspace locked: two owners must not demote each other at once."""
    rows = Membership.objects.select_for_update(no_key=True).filter(workspace_id=workspace_id).order_by("id")
    found = next((row for row in rows if row.user_id == user_id), None)
    if found is None:
        raise NotFound("member")
    return found


def _refuse_last_owner(found: Membership) -> None:
    owners = Membership.objects.filter(workspace_id=found.workspace_id, role=Role.OWNER)
    if found.role == Role.OWNER and not owners.exclude(id=found.id).exists():
        raise Refusal("LAST_OWNER", "A workspace keeps at least one owner.")
