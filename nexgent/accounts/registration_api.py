"""Registration, invitations, workspaces to choose from, and what starts with a mailed link."""

from functools import partial
from typing import Any
from uuid import UUID

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent.accounts import recovery, registration, step_up, tokens
from nexgent.accounts.api import user_wire
from nexgent.accounts.clients import client_of
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.grants_api import workspace_of
from nexgent.accounts.models import Invitation, Membership, Role
from nexgent.accounts.shapes import InvitationShape, NewInvitationShape, SessionShape, WorkspaceShape
from nexgent.api import pagination
from nexgent.api.addresses import client_address
from nexgent.api.bodies import Body, read
from nexgent.api.openapi import describe, window
from nexgent.api.query import uuid_of
from nexgent.api.shapes import Done
from nexgent.api.throttling import limit
from nexgent.api.wire import stamp

EMAIL = r"^[^@\s]+@[^@\s]+$"
WORKSPACES, SIGN_IN = "Workspaces", "Sign-in"
LISTING = pagination.Listing(
    keys={"createdAt": pagination.by_id("workspace_id")},
    tie=pagination.by_id("workspace_id"),
    default="createdAt",
    limit_default=None,
)
INVITATIONS = pagination.Listing(
    keys={"createdAt": pagination.by_id("id")}, tie=pagination.by_id("id"), default="-createdAt", limit_default=None
)


class RegisterBody(Body):
    email: str = Field(min_length=3, max_length=255, pattern=EMAIL)
    password: str = Field(min_length=1, max_length=1024)
    invite_token: str = Field(default="", max_length=200)


class ResetBody(Body):
    email: str = Field(min_length=3, max_length=255, pattern=EMAIL)


class ResetUseBody(Body):
    token: str = Field(min_length=1, max_length=200)
    password: str = Field(min_length=1, max_length=1024)


class EmailBody(Body):
    email: str = Field(min_length=3, max_length=255, pattern=EMAIL)


class InvitationBody(Body):
    role: str = Field(json_schema_extra={"enum": Role.values})
    email: str = Field(default="", max_length=255)
    expires_in_hours: int = Field(
        default=registration.INVITATION_HOURS,
        json_schema_extra={"minimum": 1, "maximum": registration.INVITATION_HOURS_MAX},
    )


class AcceptBody(Body):
    invite_token: str = Field(min_length=1, max_length=200)


def invitation_wire(invitation: Invitation) -> dict[str, Any]:
    return {
        "id": invitation.id,
        "role": invitation.role,
        "email": invitation.email or None,
        "invitedBy": invitation.invited_by.email,
        "createdAt": stamp(invitation.created_at),
        "expiresAt": stamp(invitation.expires_at),
    }


def workspace_wire(membership: Membership, *, current: UUID) -> dict[str, Any]:
    return {
        "id": membership.workspace_id,
        "name": membership.workspace.name,
        "role": membership.role,
        "isCurrent": membership.workspace_id == current,
    }


class Register(Endpoint):
    authentication_classes = ()
    is_public = True
    throttle_classes = (limit("register", 5, by_address=True),)

    @describe(
        "register",
        "Register, where the operator allows it",
        tag=SIGN_IN,
        body=RegisterBody,
        example={"email": "you@example.com", "password": "correct-horse-battery-9"},
        answer=SessionShape,
        status=201,
        refusals=("REGISTRATION_OFF", "INVITE_INVALID", "REGISTRATION_REFUSED"),
    )
    def post(self, request: Request) -> Response:
        body = read(RegisterBody, request.data)
        user = registration.register(email=body.email, password=body.password, invite=body.invite_token)
        pair = tokens.open_session(user, remember_me=False, rotate=False, client=client_of(request))
        answer = {"accessToken": pair.access, "refreshToken": pair.refresh, "user": user_wire(user)}
        return Response(answer, status=201)


class Reset(Endpoint):
    authentication_classes = ()
    is_public = True
    throttle_classes = (limit("reset", 5, by_address=True),)

    @describe(
        "askPasswordReset",
        "Ask for a mailed link to a new password",
        tag=SIGN_IN,
        description="The answer is the same for every e-mail.",
        body=ResetBody,
        example={"email": "you@example.com"},
        answer=Done,
        status=202,
        refusals=("ACCOUNT_LOCKED",),
    )
    def post(self, request: Request) -> Response:
        recovery.reset_ask(email=read(ResetBody, request.data).email, address=client_address(request))
        message = "If there is a user with this e-mail, a link is on its way."
        return Response({"success": True, "message": message}, status=202)


class ResetUse(Endpoint):
    authentication_classes = ()
    is_public = True
    throttle_classes = (limit("reset-use", 5, by_address=True),)

    @describe(
        "usePasswordReset",
        "Set a new password with the link's token",
        tag=SIGN_IN,
        description="Ends every session. Second factors stay.",
        body=ResetUseBody,
        example={"token": "what-the-letter-says", "password": "another-horse-staple-7"},
        answer=Done,
        refusals=("LINK_INVALID",),
    )
    def post(self, request: Request) -> Response:
        body = read(ResetUseBody, request.data)
        recovery.reset_use(secret=body.token, new=body.password)
        return Response({"success": True, "message": "The password was changed; every session has ended."})


class Email(Endpoint):
    roles = {"POST": Role.VIEWER}
    step_up = {"POST": step_up.always}
    throttle_classes = (limit("email", 5),)

    @describe(
        "changeEmail",
        "Ask for a change of one's e-mail",
        tag=SIGN_IN,
        description="A link is mailed to the new address; the e-mail changes when it is opened.",
        body=EmailBody,
        example={"email": "new@example.com"},
        answer=Done,
        status=202,
        refusals=("STEP_UP_REQUIRED",),
    )
    def post(self, request: Request) -> Response:
        recovery.email_ask(user=request.principal.user, email=read(EmailBody, request.data).email)
        return Response({"success": True, "message": "A link is on its way to the new address."}, status=202)


class Workspaces(Endpoint):
    @describe(
        "listWorkspaces",
        "Workspaces one belongs to",
        tag=WORKSPACES,
        answer=list[WorkspaceShape],
        query=window(LISTING),
    )
    def get(self, request: Request) -> Response:
        principal = request.principal
        rows = Membership.objects.filter(user_id=principal.user.pk).select_related("workspace")
        wire = partial(workspace_wire, current=principal.workspace_id)
        return pagination.listed(request, LISTING, rows, wire=wire)


class Choose(Endpoint):
    roles = {"POST": Role.VIEWER}

    @describe("chooseWorkspace", "Act in this workspace from now on", tag=WORKSPACES, answer=Done)
    def post(self, request: Request, workspace_id: str) -> Response:
        wanted = uuid_of(workspace_id, "workspaceId")
        registration.workspace_choose(user_id=request.principal.user.pk, workspace_id=wanted)
        return Response({"success": True, "message": "You act in this workspace now."})


class Invitations(Endpoint):
    roles = {"GET": Role.OWNER, "POST": Role.OWNER}
    step_up = {"POST": step_up.lets_trade}

    @describe(
        "listInvitations",
        "Open invitations",
        tag=WORKSPACES,
        answer=list[InvitationShape],
        query=window(INVITATIONS),
    )
    def get(self, request: Request, workspace_id: str) -> Response:
        rows = registration.open_invitations(workspace_of(request, workspace_id))
        return pagination.listed(request, INVITATIONS, rows, wire=invitation_wire)

    @describe(
        "invite",
        "Invite somebody into the workspace",
        tag=WORKSPACES,
        description="The token is in this answer only; it is mailed too when an e-mail is named. The roles `trader` "
        "and `owner` ask for a fresh proof.",
        body=InvitationBody,
        answer=NewInvitationShape,
        status=201,
        refusals=("STEP_UP_REQUIRED", "TOO_MANY_INVITATIONS"),
        example={"role": "viewer", "email": "friend@example.com"},
    )
    def post(self, request: Request, workspace_id: str) -> Response:
        workspace = workspace_of(request, workspace_id)
        body = read(InvitationBody, request.data)
        new = registration.invite(
            workspace_id=workspace,
            by=request.principal.user,
            role=body.role,
            email=body.email,
            hours=body.expires_in_hours,
        )
        answer = {**invitation_wire(new.invitation), "inviteToken": new.secret, "url": new.url}
        return Response(answer, status=201)


class OneInvitation(Endpoint):
    roles = {"DELETE": Role.OWNER}

    @describe("revokeInvitation", "Revoke an open invitation", tag=WORKSPACES, status=204)
    def delete(self, request: Request, workspace_id: str, invitation_id: str) -> Response:
        workspace = workspace_of(request, workspace_id)
        invitation = uuid_of(invitation_id, "invitationId")
        registration.invitation_revoke(workspace_id=workspace, invitation_id=invitation)
        return Response(status=204)


class Accept(Endpoint):
    roles = {"POST": Role.VIEWER}
    throttle_classes = (limit("accept", 10),)

    @describe(
        "acceptInvitation",
        "Accept an invitation and act in its workspace",
        tag=WORKSPACES,
        body=AcceptBody,
        example={"inviteToken": "what-the-invitation-says"},
        answer=WorkspaceShape,
        refusals=("INVITE_INVALID", "ALREADY_MEMBER"),
    )
    def post(self, request: Request) -> Response:
        secret = read(AcceptBody, request.data).invite_token
        found = registration.invitation_accept(user=request.principal.user, secret=secret)
        return Response(workspace_wire(found, current=found.workspace_id))
