"""Workspaces: members, grants, invitations, the audit log; and what keys have beyond the reference."""

from typing import Any

from tests.contract.cases import ABSENT, Case
from tests.contract.groups.accounts import proof_is_old
from tests.contract.world import World, value


@value("workspaceId")
def _workspace_id(world: World) -> str:
    return str(world.workspace_id)


@value("userId")
def _user_id(world: World) -> str:
    """A trader of the workspace."""
    return str(world.user("trader").id)


@value("ownerId")
def _owner_id(world: World) -> str:
    return str(world.user("owner").id)


@value("invitation")
def _invitation(world: World) -> Any:
    return world.post(f"/workspaces/{world['workspaceId']}/invitations", {"role": "viewer"})


@value("invitationId")
def _invitation_id(world: World) -> str:
    return str(world["invitation"]["id"])


@value("inviteToken")
def _invite_token(world: World) -> str:
    return str(world["invitation"]["inviteToken"])


@value("guardedKeyId")
def _guarded_key(world: World) -> str:
    return str(world.post("/api-keys", {"name": "Trader", "scopes": ["trade"]})["id"])


MEMBERS, MEMBER = "/workspaces/:workspaceId/members", "/workspaces/:workspaceId/members/:userId"
INVITATIONS = "/workspaces/:workspaceId/invitations"
ACCEPT, CHOOSE, AUDIT = "POST /invitations/accept", "POST /workspaces/:workspaceId/choose", "GET /audit-log"
FOREIGN = {"workspaceId": ABSENT}
ROLE, GRANTS = {"role": "viewer"}, {"agentIds": ["{agentId}"]}
PATCH_KEY, ROTATE = "PATCH /api-keys/:keyId", "POST /api-keys/:keyId/rotate"


def _member(method: str, body: Any = None, tail: str = "", status: int = 200) -> list[Case]:
    """What all routes of one member have in common."""
    route = f"{method} {MEMBER}{tail}"
    return [
        Case(route, status, body=body),
        Case(route, 400, "no UUID", path={"userId": "x"}, body=body, fields=("userId",)),
        Case(route, 403, "by a trader", body=body, who="trader", code="AUTHORIZATION_ERROR"),
        Case(route, 404, "no member", path={"userId": ABSENT}, body=body),
        Case(route, 404, "another workspace", path=FOREIGN, body=body, code="WORKSPACE_NOT_FOUND"),
    ]


CASES = [
    Case("GET /workspaces", 200),
    Case("GET /workspaces", 400, "no cursor of the list", query={"cursor": "x"}, fields=("cursor",)),
    Case(f"GET {MEMBERS}", 200, uses=("userId",)),
    Case(f"GET {MEMBERS}", 400, path={"workspaceId": "x"}, fields=("workspaceId",)),
    Case(f"GET {MEMBERS}", 404, path=FOREIGN, code="WORKSPACE_NOT_FOUND"),
    *_member("GET"),
    *_member("GET", tail="/grants"),
    *_member("PATCH", ROLE),
    *_member("DELETE", status=204),
    *_member("PUT", GRANTS, tail="/grants"),
    Case(f"PATCH {MEMBER}", 400, "no role", body={"role": "king"}, fields=("role",)),
    Case(f"PATCH {MEMBER}", 409, path={"userId": "{ownerId}"}, body=ROLE, code="LAST_OWNER"),
    Case(f"DELETE {MEMBER}", 409, path={"userId": "{ownerId}"}, code="LAST_OWNER"),
    Case(f"PUT {MEMBER}/grants", 404, "absent agent", body={"agentIds": [ABSENT]}, code="AGENT_NOT_FOUND"),
    Case(CHOOSE, 200),
    Case(CHOOSE, 400, path={"workspaceId": "x"}, fields=("workspaceId",)),
    Case(CHOOSE, 404, path=FOREIGN),
    Case(f"GET {INVITATIONS}", 200, uses=("invitation",)),
    Case(f"GET {INVITATIONS}", 400, path={"workspaceId": "x"}),
    Case(f"GET {INVITATIONS}", 404, path=FOREIGN, code="WORKSPACE_NOT_FOUND"),
    Case(f"POST {INVITATIONS}", 201, body={"role": "viewer", "email": "friend@example.com"}),
    Case(f"POST {INVITATIONS}", 400, body={"role": "king", "expiresInHours": 0}, fields=("role", "expiresInHours")),
    Case(f"POST {INVITATIONS}", 403, "by a trader", body=ROLE, who="trader", code="AUTHORIZATION_ERROR"),
    Case(f"POST {INVITATIONS}", 404, path=FOREIGN, body=ROLE, code="WORKSPACE_NOT_FOUND"),
    Case(f"DELETE {INVITATIONS}/:invitationId", 204),
    Case(f"DELETE {INVITATIONS}/:invitationId", 400, path={"invitationId": "x"}),
    Case(f"DELETE {INVITATIONS}/:invitationId", 404, path={"invitationId": ABSENT}),
    Case(ACCEPT, 200, body={"inviteToken": "{inviteToken}"}, who="stranger"),
    Case(ACCEPT, 400, body={}, fields=("inviteToken",)),
    Case(ACCEPT, 403, "no such invitation", body={"inviteToken": "x"}, code="INVITE_INVALID"),
    Case(ACCEPT, 409, "a member already", body={"inviteToken": "{inviteToken}"}, code="ALREADY_MEMBER"),
    Case(ACCEPT, 429, body={}, repeat=11, code="RATE_LIMITED"),
    Case(AUDIT, 200, query={"kind": "agent"}, uses=("agentId",)),
    Case(AUDIT, 200, "of nothing", query={"kind": "webhook"}),
    Case(AUDIT, 400, "kind", query={"kind": "dream"}, fields=("kind",)),
    Case(AUDIT, 400, "startDate", query={"startDate": "x"}, fields=("startDate",)),
    Case(AUDIT, 403, "by a viewer", who="viewer", code="AUTHORIZATION_ERROR"),
    Case("GET /api-keys/presets", 200),
    Case(PATCH_KEY, 200, body={"name": "Garage", "ratePerMinute": 30, "spendLimitSol": "2.5"}),
    Case(PATCH_KEY, 400, "rate", body={"ratePerMinute": 0}, fields=("ratePerMinute",)),
    Case(PATCH_KEY, 400, "no UUID", path={"keyId": "x"}, body={}),
    Case(
        PATCH_KEY,
        403,
        "proof is old",
        path={"keyId": "{guardedKeyId}"},
        body={"ratePerMinute": 1},
        uses=("guardedKeyId",),
        given=proof_is_old,
        code="STEP_UP_REQUIRED",
    ),
    Case(PATCH_KEY, 404, path={"keyId": ABSENT}, body={}, code="API_KEY_NOT_FOUND"),
    Case(ROTATE, 200, body={"graceSeconds": 600}),
    Case(ROTATE, 400, body={"graceSeconds": -1}, fields=("graceSeconds",)),
    Case(ROTATE, 404, path={"keyId": ABSENT}, code="API_KEY_NOT_FOUND"),
]
