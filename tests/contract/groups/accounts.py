"""Sessions, second factors, registration, mailed links: what a person does with their account."""

import time
from datetime import timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp

from nexgent import clock
from nexgent.accounts import factors, letters
from nexgent.accounts.models import MailedLink, TokenSession
from tests.contract.cases import ABSENT, Case
from tests.contract.world import PASSWORD, World, value
from tests.soft_key import SoftKey

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NEW_PASSWORD = "Another-Horse-7-Stapler"
LINK = "link-of-a-letter"


@value("code")
def _code(_world: World) -> str:
    """What an authenticator app with our secret shows now."""
    return totp.format_hotp_value(totp.hotp_value(SECRET, int(time.time()) // 30))


@value("factorId")
def _factor_id(world: World) -> str:
    factors.totp_add(world.user("owner"), secret=SECRET, code=world["code"])
    return str(world.owner.get("/api/v1/auth/factors").json()[0]["id"])


@value("passkeyId")
def _passkey_id(world: World) -> str:
    offer = world.post(OFFER_PASSKEY.removeprefix("POST "), status=200)
    world.post("/auth/factors/passkeys", _answer(offer))
    return str(world.owner.get("/api/v1/auth/factors").json()[0]["id"])


@value("challengeId")
def _challenge_id(world: World) -> str:
    return str(world["passkeyOffer"]["challengeId"])


@value("passkeyOffer")
def _passkey_offer(world: World) -> Any:
    return world.post(OFFER_PASSKEY.removeprefix("POST "), status=200)


@value("credential")
def _credential(world: World) -> Any:
    return _answer(world["passkeyOffer"])["credential"]


def _answer(offer: Any) -> dict[str, Any]:
    made = SoftKey().made(offer, origin="https://testserver")
    return {"challengeId": offer["challengeId"], "name": "Laptop", "credential": made}


def _full(world: World) -> None:
    """The owner has as many passkeys as one may have."""
    rows = [Authenticator(user=world.user("owner"), type="webauthn", data={"name": "x"}) for _ in range(20)]
    Authenticator.objects.bulk_create(rows)


def _no_valkey(world: World) -> None:
    assert world.owner
    world.settings.REDIS_URL = "redis://127.0.0.1:1/0"


@value("sessionId")
def _session_id(world: World) -> str:
    """Another session of the owner."""
    assert world["session"]
    rows = world.owner.get("/api/v1/auth/sessions").json()
    return str(next(row["id"] for row in rows if not row["isCurrent"]))


@value("link")
def _link(world: World) -> str:
    """The secret of a mailed link to a new password."""
    now = clock.now()
    MailedLink.objects.create(
        user=world.user("owner"),
        kind=MailedLink.Kind.RESET,
        email=world["email"],
        secret_hash=letters.link_hash(LINK),
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )
    return LINK


def proof_is_old(world: World) -> None:
    """The owner signed in long ago."""
    assert world.owner
    TokenSession.objects.update(proved_at=clock.now() - timedelta(minutes=11))


def registration(mode: str) -> Any:
    def arrange(world: World) -> None:
        world.settings.REGISTRATION = mode

    return arrange


NEW_USER = {"email": "new@example.com", "password": PASSWORD}
REGISTER, PASSWORD_ROUTE, PROOF = "POST /auth/register", "POST /auth/password", "POST /auth/step-up"
RESET, RESET_USE, EMAIL = "POST /auth/password-reset", "POST /auth/password-reset/confirm", "POST /auth/email"
TOTP, OFFER, CODES = "POST /auth/factors/totp", "POST /auth/factors/totp/offer", "POST /auth/factors/recovery-codes"
PASSKEY, OFFER_PASSKEY, RENAME = (
    "POST /auth/factors/passkeys",
    "POST /auth/factors/passkeys/offer",
    "PATCH /auth/factors/:factorId",
)
ADD_PASSKEY = {"challengeId": "{challengeId}", "name": "Laptop", "credential": "{credential}"}
USED = ("challengeId", "credential")
ONE_FACTOR, ONE_SESSION = "DELETE /auth/factors/:factorId", "DELETE /auth/sessions/:sessionId"
CHANGE = {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}
ADD = {"secret": SECRET, "code": "{code}"}
OLD = {"given": proof_is_old, "code": "STEP_UP_REQUIRED"}

CASES = [
    Case("GET /auth/sessions", 200, "two", uses=("session",)),
    Case("GET /auth/sessions", 200),
    Case("GET /auth/sessions", 400, "no cursor of the list", query={"cursor": "x"}, fields=("cursor",)),
    Case(ONE_SESSION, 204),
    Case(ONE_SESSION, 400, path={"sessionId": "x"}, fields=("sessionId",)),
    Case(ONE_SESSION, 404, path={"sessionId": ABSENT}),
    Case("POST /auth/revoke-all", 200),
    Case(PASSWORD_ROUTE, 200, body=CHANGE),
    Case(PASSWORD_ROUTE, 400, "weak", body={**CHANGE, "newPassword": "short"}, fields=("newPassword",)),
    Case(PASSWORD_ROUTE, 400, "wrong", body={**CHANGE, "currentPassword": "x"}, fields=("currentPassword",)),
    Case(PASSWORD_ROUTE, 400, "nothing", body={}, fields=("currentPassword", "newPassword")),
    Case(PROOF, 200, body={"password": PASSWORD}),
    Case(PROOF, 400, body={"password": 5}, fields=("password",)),
    Case(PROOF, 400, "wrong password", body={"password": "wrong"}, fields=("password",)),
    Case(PROOF, 401, "wrong code", body={"code": "000000"}, uses=("factorId",), code="CODE_WRONG"),
    Case(PROOF, 423, body={"password": "wrong"}, repeat=6, code="ACCOUNT_LOCKED"),
    Case(PROOF, 429, body={"password": 5}, repeat=11, code="RATE_LIMITED"),
    Case("GET /auth/factors", 200, uses=("factorId",)),
    Case(OFFER, 200),
    Case(OFFER, 403, "proof is old", **OLD),
    Case(TOTP, 201, body=ADD),
    Case(TOTP, 400, "wrong code", body={**ADD, "code": "000000"}, fields=("code",)),
    Case(TOTP, 400, "no secret", body={"code": "123456"}, fields=("secret",)),
    Case(TOTP, 403, "proof is old", body=ADD, **OLD),
    Case(TOTP, 409, "there is one", body=ADD, uses=("factorId",), code="FACTOR_EXISTS"),
    Case(OFFER_PASSKEY, 200),
    Case(OFFER_PASSKEY, 403, "proof is old", **OLD),
    Case(OFFER_PASSKEY, 409, "too many", given=_full, code="FACTOR_EXISTS"),
    Case(OFFER_PASSKEY, 503, "no Valkey", given=_no_valkey, code="DEPENDENCY_DOWN"),
    Case(PASSKEY, 201, body=ADD_PASSKEY),
    Case(PASSKEY, 400, "no challenge", body={**ADD_PASSKEY, "challengeId": "x"}, fields=("challengeId",)),
    Case(PASSKEY, 400, "no answer", body={**ADD_PASSKEY, "credential": {"id": "x"}}, fields=("credential",)),
    Case(PASSKEY, 403, "proof is old", body=ADD_PASSKEY, uses=USED, **OLD),
    Case(PASSKEY, 409, "too many", body=ADD_PASSKEY, uses=USED, given=_full, code="FACTOR_EXISTS"),
    Case(PASSKEY, 503, "no Valkey", body={**ADD_PASSKEY, "challengeId": "x", "credential": {}}, given=_no_valkey),
    Case(RENAME, 200, path={"factorId": "{passkeyId}"}, body={"name": "Desk"}),
    Case(RENAME, 400, body={"name": " "}, fields=("name",)),
    Case(RENAME, 403, "proof is old", path={"factorId": ABSENT}, body={"name": "Desk"}, **OLD),
    Case(RENAME, 404, "an app has no name", body={"name": "Desk"}, code="FACTOR_NOT_FOUND"),
    Case(CODES, 201, uses=("factorId",)),
    Case(CODES, 403, "proof is old", **OLD),
    Case(CODES, 409, "without a factor", code="NO_FACTOR"),
    Case(ONE_FACTOR, 204),
    Case(ONE_FACTOR, 403, "proof is old", path={"factorId": ABSENT}, **OLD),
    Case(ONE_FACTOR, 404, path={"factorId": ABSENT}),
    Case(REGISTER, 201, body=NEW_USER, who="nobody", given=registration("open")),
    Case(
        REGISTER,
        201,
        "invited",
        body={**NEW_USER, "inviteToken": "{inviteToken}"},
        who="nobody",
        given=registration("invite"),
    ),
    Case(
        REGISTER,
        400,
        "weak",
        body={**NEW_USER, "password": "x"},
        who="nobody",
        given=registration("open"),
        fields=("password",),
    ),
    Case(REGISTER, 400, "no e-mail", body={**NEW_USER, "email": "x"}, who="nobody", fields=("email",)),
    Case(
        REGISTER,
        400,
        "known",
        body={**NEW_USER, "email": "{email}"},
        who="nobody",
        given=registration("open"),
        code="REGISTRATION_REFUSED",
    ),
    Case(REGISTER, 403, "off", body=NEW_USER, who="nobody", code="REGISTRATION_OFF"),
    Case(
        REGISTER,
        403,
        "not invited",
        body={**NEW_USER, "inviteToken": "x"},
        who="nobody",
        given=registration("invite"),
        code="INVITE_INVALID",
    ),
    Case(REGISTER, 429, body={}, who="nobody", repeat=6, code="RATE_LIMITED"),
    Case(RESET, 202, body={"email": "{email}"}, who="nobody"),
    Case(RESET, 202, "unknown e-mail", body={"email": "other@example.com"}, who="nobody"),
    Case(RESET, 400, body={}, who="nobody", fields=("email",)),
    Case(RESET, 429, body={}, who="nobody", repeat=6, code="RATE_LIMITED"),
    Case(RESET_USE, 200, body={"token": "{link}", "password": NEW_PASSWORD}, who="nobody"),
    Case(RESET_USE, 400, "weak", body={"token": "{link}", "password": "x"}, who="nobody", fields=("password",)),
    Case(RESET_USE, 400, "no link", body={"token": "x", "password": NEW_PASSWORD}, who="nobody", code="LINK_INVALID"),
    Case(RESET_USE, 429, body={}, who="nobody", repeat=6, code="RATE_LIMITED"),
    Case(EMAIL, 202, body={"email": "new@example.com"}),
    Case(EMAIL, 400, "the same", body={"email": "{email}"}, fields=("email",)),
    Case(EMAIL, 403, "proof is old", body={"email": "new@example.com"}, **OLD),
    Case(EMAIL, 429, body={}, repeat=6, code="RATE_LIMITED"),
]
