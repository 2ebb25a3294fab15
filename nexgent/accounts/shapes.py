"""What accounts, keys and alarms look like in answers (`nexgent.api.shapes`)."""

from typing import Any, Literal

from nexgent.api.shapes import DecimalText, Object, Shape, Stamp, Uuid


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
    """Null limits are none; the limits are additions to the reference."""

    id: Uuid
    name: str
    prefix: str
    scopes: list[str]
    created_at: Stamp
    expires_at: Stamp | None
    last_used_at: Stamp | None
    last_used_from: str | None
    addresses: list[str]
    spend_limit_sol: DecimalText | None
    spent_today_sol: DecimalText | None
    rate_per_minute: int | None
    requires_signature: bool
    previous_good_until: Stamp | None


class NewKeyShape(KeyShape):
    """`key` and `signingSecret` (of a key that signs its requests) are shown this once."""

    key: str
    signing_secret: str | None


class KeysShape(Shape):
    items: list[KeyShape]


class PresetShape(Shape):
    """The least a common job needs; send its name as `preset` instead of `scopes`."""

    name: str
    title: str
    about: str
    scopes: list[str]


class TokensShape(Shape):
    """Tokens of a new session, in place of those that ended."""

    success: Literal[True]
    message: str
    access_token: str
    refresh_token: str


class OpenSessionShape(Shape):
    """`kind` page: signed in with a browser; token: an API client."""

    id: Uuid
    kind: Literal["page", "token"]
    address: str
    user_agent: str
    created_at: Stamp
    last_used_at: Stamp
    expires_at: Stamp
    is_current: bool


class EndedShape(Shape):
    success: Literal[True]
    message: str
    ended: int


class FactorShape(Shape):
    id: Uuid
    kind: Literal["totp", "webauthn", "recovery_codes"]
    name: str
    created_at: Stamp
    last_used_at: Stamp | None
    codes_left: int | None


class TotpOfferShape(Shape):
    """`secret` or `url` go into an authenticator app; nothing is stored yet."""

    secret: str
    url: str


class PasskeyOfferShape(Shape):
    """`publicKey` goes to the authenticator; its answer comes back with `challengeId`."""

    challenge_id: str
    expires_in: int
    public_key: Object


class RecoveryCodesShape(Shape):
    """Shown this once; empty when there are recovery codes already."""

    recovery_codes: list[str]


class WorkspaceShape(Shape):
    id: Uuid
    name: str
    role: Literal["viewer", "auditor", "trader", "owner"]
    is_current: bool


class InvitationShape(Shape):
    id: Uuid
    role: Literal["viewer", "auditor", "trader", "owner"]
    email: str | None
    invited_by: str
    created_at: Stamp
    expires_at: Stamp


class NewInvitationShape(InvitationShape):
    """`inviteToken` and `url` are shown this once."""

    invite_token: str
    url: str


class AlarmShape(Shape):
    id: Uuid
    code: str
    subject: str
    agent_id: Uuid | None
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
