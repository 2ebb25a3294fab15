"""`/workspaces/:id/members`: who belongs to a workspace, in which role, limited to which agents (owner)."""

from collections.abc import Callable, Collection
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent.accounts import grants, step_up
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Membership, Role
from nexgent.accounts.shapes import MemberShape
from nexgent.api import pagination
from nexgent.api.bodies import Body, UuidValue, read
from nexgent.api.openapi import describe, window
from nexgent.api.query import uuid_of
from nexgent.errors import NotFound

LISTING = pagination.Listing(
    keys={"userId": pagination.by_id("user_id")}, tie=pagination.by_id("user_id"), default="userId", limit_default=None
)


class RoleBody(Body):
    role: str = Field(json_schema_extra={"enum": Role.values})


class GrantsBody(Body):
    agent_ids: list[UuidValue] | None = Field(max_length=grants.AGENTS_MAX, description="null: all agents")


def member_wire(found: Membership) -> dict[str, Any]:
    granted = sorted(grant.agent_id for grant in found.grants.all())
    return {
        "userId": found.user_id,
        "email": found.user.email,
        "role": found.role,
        "agentIds": granted if found.is_limited and found.role != Role.OWNER else None,
    }


def workspace_of(request: Request, workspace_id: str) -> UUID:
    """The workspace of the path, which is the caller's; `NotFound` for any other."""
    if uuid_of(workspace_id, "workspaceId") != request.principal.workspace_id:
        raise NotFound("workspace")
    return request.principal.workspace_id


class Members(Endpoint):
    roles = {"GET": Role.OWNER}

    @describe(
        "listMembers", "Members of the workspace", tag="Workspaces", answer=list[MemberShape], query=window(LISTING)
    )
    def get(self, request: Request, workspace_id: str) -> Response:
        rows = grants.members(workspace_of(request, workspace_id))
        return pagination.listed(request, LISTING, rows, wire=member_wire)


class Member(Endpoint):
    roles = {"GET": Role.OWNER, "PATCH": Role.OWNER, "DELETE": Role.OWNER}
    step_up = {"PATCH": step_up.lets_trade}

    @describe("getMember", "One member", tag="Workspaces", answer=MemberShape)
    def get(self, request: Request, workspace_id: str, user_id: str) -> Response:
        workspace = workspace_of(request, workspace_id)
        return Response(member_wire(grants.member(workspace, uuid_of(user_id, "userId"))))

    @describe(
        "changeMember",
        "Give a member another role",
        tag="Workspaces",
        description="The roles `trader` and `owner` ask for a fresh proof.",
        body=RoleBody,
        answer=MemberShape,
        refusals=("LAST_OWNER", "STEP_UP_REQUIRED"),
        example={"role": "viewer"},
    )
    def patch(self, request: Request, workspace_id: str, user_id: str) -> Response:
        workspace, person = workspace_of(request, workspace_id), uuid_of(user_id, "userId")
        grants.member(workspace, person)
        body = read(RoleBody, request.data)
        return Response(member_wire(grants.role_set(workspace_id=workspace, user_id=person, role=body.role)))

    @describe("removeMember", "End a membership", tag="Workspaces", status=204, refusals=("LAST_OWNER",))
    def delete(self, request: Request, workspace_id: str, user_id: str) -> Response:
        workspace = workspace_of(request, workspace_id)
        grants.member_remove(workspace_id=workspace, user_id=uuid_of(user_id, "userId"))
        return Response(status=204)


class Grants(Endpoint):
    """The agents a member is limited to; null is all of the workspace, an empty list none."""

    roles = {"GET": Role.OWNER, "PUT": Role.OWNER}
    agents_of: ClassVar[Callable[[UUID], Collection[UUID]] | None] = None
    """The agents of a workspace; given by the layer that knows agents."""

    @describe("getGrants", "Agents a member is limited to", tag="Workspaces", answer=MemberShape)
    def get(self, request: Request, workspace_id: str, user_id: str) -> Response:
        workspace = workspace_of(request, workspace_id)
        return Response(member_wire(grants.member(workspace, uuid_of(user_id, "userId"))))

    @describe(
        "setGrants",
        "Limit a member to named agents, or lift the limit",
        tag="Workspaces",
        body=GrantsBody,
        answer=MemberShape,
        refusals=("AGENT_NOT_FOUND",),
        example={"agentIds": None},
    )
    def put(self, request: Request, workspace_id: str, user_id: str) -> Response:
        workspace, person = workspace_of(request, workspace_id), uuid_of(user_id, "userId")
        grants.member(workspace, person)
        body, agents_of = read(GrantsBody, request.data), self.agents_of
        known = () if agents_of is None else agents_of(workspace)
        found = grants.grants_set(workspace_id=workspace, user_id=person, agent_ids=body.agent_ids, known=known)
        return Response(member_wire(found))
