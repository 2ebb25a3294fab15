"""What accounts, keys and alarms look like in answers (`nexgent.api.shapes`)."""

from typing import Any, Literal

from nexgent.api.shapes import Object, Shape, Stamp, Uuid


class UserShape(Shape):
    id: Uuid
    email: str
    created_at: Stamp


class SessionShape(Shape):
    """Tokens of a new session."""

    access_token: str
    refresh_token: str
    user: UserShape


class RefreshedShape(Shape):
    """The next access token; with a rotating session the next refresh token too."""

    access_token: str
    refresh_token: str = ""


class KeyShape(Shape):
    id: Uuid
    name: str
    prefix: str
    scopes: list[str]
    created_at: Stamp


class NewKeyShape(KeyShape):
    """`key` is shown this once."""

    key: str


class KeysShape(Shape):
    items: list[KeyShape]


class AlarmShape(Shape):
    id: Uuid
    code: str
    subject: str
    detail: Object
    since: Stamp
    cleared_at: Stamp | None


class MemberShape(Shape):
    """A member of a workspace; `agentIds` null sees all agents."""

    user_id: Uuid
    email: str
    role: Literal["viewer", "auditor", "trader", "owner"]
    agent_ids: list[Uuid] | None


class ActorShape(Shape):
    kind: Literal["user", "key", "anonymous", "system", "database"]
    id: Uuid | None
    name: str


class SourceShape(Shape):
    address: str
    client: str
    request_id: str
    route: str


class ChangeShape(Shape):
    path: str
    before: Any
    after: Any


class AuditShape(Shape):
    """One entry of the audit log; secrets are never in it, only that they changed ("[hidden]")."""

    id: int
    at: Stamp
    kind: str
    object_id: str
    agent_id: Uuid | None
    action: Literal["created", "changed", "deleted"]
    actor: ActorShape
    source: SourceShape
    before: Object | None
    after: Object | None
    changes: list[ChangeShape]
