"""Bearer tokens of API clients: HS256, claims `userId`, `email`, `type`, `jti`, `exp`, and `sid`, the stored session.

Access tokens live 15 minutes and end earlier with their session. A refresh token is good only while a session holds its
`jti`: sessions of existing clients keep one refresh token for their whole life, rotating ones change it at each use.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token
from rest_framework_simplejwt.utils import aware_utcnow

from nexgent import clock
from nexgent.accounts import principals
from nexgent.accounts.clients import Client
from nexgent.accounts.models import RevokedToken, TokenSession, User
from nexgent.accounts.principals import Principal
from nexgent.errors import Refusal
from nexgent.events import control

ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(hours=24)
REMEMBERED_LIFETIME = timedelta(days=30)
GRACE = timedelta(seconds=20)
TOKEN_LENGTH_MAX = 4096
TOKENS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a well signed access token says; whether it still counts is another question."""

    user_id: UUID
    jti: UUID
    session_id: UUID | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Pair:
    access: str
    refresh: str | None


def refused(message: str = "The token is not valid or has expired.") -> Refusal:
    return Refusal("AUTHENTICATION_ERROR", message)


def verify_access(token: str) -> Principal:
    """Who an access token speaks for; raises `Refusal` (401) for a wrong, expired, refresh or revoked one.

    `Principal.expires_at` tells when a long-lived connection has to ask again.
    """
    if not isinstance(token, str):
        raise refused()
    said = _access_claims(token)
    if said.expires_at <= aware_utcnow():
        raise refused()
    principal = principals.of_token(
        user_id=said.user_id, jti=said.jti, session_id=said.session_id, expires_at=said.expires_at
    )
    if principal is None:
        raise refused()
    return principal


def open_session(user: User, *, remember_me: bool, rotate: bool, client: Client | None = None) -> Pair:
    """A new session with its first pair of tokens. The proof that led here counts from now.

    Raises `Refusal` (401) when the password changed since `user` was read: a change ends all sessions, and one that
    began with the old password may not come behind it.
    """
    lifetime = REMEMBERED_LIFETIME if remember_me else REFRESH_LIFETIME
    now, client = clock.now(), client or Client()
    with transaction.atomic():
        known = User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("password", flat=True)
        if known.first() != user.password:
            raise refused("The password was changed meanwhile. Sign in again.")
        session = TokenSession.objects.create(
            user=user,
            jti=uuid4(),
            expires_at=now + lifetime,
            is_rotating=rotate or not settings.LEGACY_REFRESH,  # the other form would be refused at once
            lifetime_seconds=int(lifetime.total_seconds()),
            proved_at=now,
            used_at=now,
            address=client.address,
            user_agent=client.user_agent,
        )
    return Pair(_access(user, session), _refresh(user, session))


def refresh(token: str) -> Pair:
    """A new access token, and for a rotating session the next refresh token.

    Raises `Refusal` (401). A refresh token that was already replaced ends its whole session, except within 20 s.
    """
    claims = _decode(RefreshToken, token)
    jti, now = _uuid(claims, "jti"), clock.now()
    with transaction.atomic():
        pair = _refresh_locked(jti, _uuid(claims, "sid") if claims.get("sid") else None, now)
    if pair is None:
        raise refused()
    return pair


def _refresh_locked(jti: UUID, session_id: UUID | None, now: datetime) -> Pair | None:
    sessions = TokenSession.objects.select_for_update(of=("self",), no_key=True).select_related("user")
    found = sessions.filter(id=session_id) if session_id else sessions.filter(jti=jti)
    session = found.first()
    if session is None or session.revoked_at or session.expires_at <= now or not session.user.is_active:
        return None
    if not session.is_rotating:
        if session.jti != jti or not settings.LEGACY_REFRESH:
            return None
        return Pair(_access(session.user, session), None)
    if session.jti == jti:
        session.previous_jti, session.jti, session.rotated_at = session.jti, uuid4(), now
        session.used_at = now
        session.expires_at = now + timedelta(seconds=session.lifetime_seconds)
        session.save(update_fields=["previous_jti", "jti", "rotated_at", "used_at", "expires_at"])
        return Pair(_access(session.user, session), _refresh(session.user, session))
    if session.previous_jti == jti and session.rotated_at and now - session.rotated_at <= GRACE:
        return Pair(_access(session.user, session), _refresh(session.user, session))
    session.revoked_at = now
    session.save(update_fields=["revoked_at"])
    control.revoke(str(session.id))
    return None


def logout(principal: Principal, refresh_token: str | None) -> None:
    """End the session of the access token, and that of `refresh_token` when it is the same person's.

    The sockets that either opened close.
    """
    now = clock.now()
    if principal.token_jti is not None and principal.expires_at is not None:
        RevokedToken.objects.bulk_create(
            [RevokedToken(jti=principal.token_jti, expires_at=principal.expires_at)], ignore_conflicts=True
        )
        control.revoke(str(principal.token_jti))
    ended = [] if principal.session_id is None else [principal.session_id]
    if refresh_token:
        ended += _sessions_of(refresh_token)
    alive = TokenSession.objects.filter(user_id=principal.user.id, revoked_at=None)
    for session_id in alive.filter(id__in=ended).values_list("id", flat=True):
        alive.filter(id=session_id).update(revoked_at=now)
        control.revoke(str(session_id))


def _sessions_of(refresh_token: str) -> list[UUID]:
    try:
        claims = _decode(RefreshToken, refresh_token)
        return list(TokenSession.objects.filter(jti=_uuid(claims, "jti")).values_list("id", flat=True))
    except Refusal:
        return []  # a token that is no longer good needs no ending


def revoke_all(user_id: UUID) -> int:
    """End every API session of a user; returns how many there were. Sockets are told by `sessions.end_all`."""
    return TokenSession.objects.filter(user_id=user_id, revoked_at=None).update(revoked_at=clock.now())


def sweep(*, now: datetime) -> int:
    """Delete what can no longer matter: expired revocations and sessions; returns how many rows went."""
    removed = RevokedToken.objects.filter(expires_at__lt=now).delete()[0]
    return removed + TokenSession.objects.filter(expires_at__lt=now - REMEMBERED_LIFETIME).delete()[0]


def _access(user: User, session: TokenSession) -> str:
    token = AccessToken()
    token["jti"] = str(uuid4())
    return _sign(token, user, session, ACCESS_LIFETIME)


def _refresh(user: User, session: TokenSession) -> str:
    token = RefreshToken()
    token["jti"] = str(session.jti)
    return _sign(token, user, session, session.expires_at - clock.now())


def _sign(token: Token, user: User, session: TokenSession, lifetime: timedelta) -> str:
    token["userId"], token["email"], token["sid"] = str(user.id), user.email, str(session.id)
    token.set_exp(lifetime=lifetime)
    return str(token)


@lru_cache(maxsize=TOKENS_KEPT)
def _access_claims(token: str) -> AccessClaims:
    """The claims of a token whose signature is good: a token never changes, so each process looks once. Refusals are
    not kept, and what can change (expiry, revocation) is asked every time."""
    claims = _decode(AccessToken, token)
    return AccessClaims(
        _uuid(claims, "userId"),
        _uuid(claims, "jti"),
        _uuid(claims, "sid") if claims.get("sid") else None,
        datetime.fromtimestamp(claims["exp"], UTC),
    )


def _decode(kind: type[Token], token: str) -> Token:
    if not isinstance(token, str) or len(token) > TOKEN_LENGTH_MAX:
        raise refused()
    try:
        return kind(token)  # type: ignore[arg-type]
    except (TokenError, UnicodeError) as problem:
        raise refused() from problem


def _uuid(claims: Token, name: str) -> UUID:
    try:
        return UUID(str(claims[name]))
    except (KeyError, ValueError) as problem:
        raise refused() from problem
