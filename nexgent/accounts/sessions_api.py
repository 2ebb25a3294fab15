"""`/auth/sessions`, `/auth/revoke-all`, `/auth/factors`: where one is signed in, and with what one proves oneself."""

from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent.accounts import factors, sessions, step_up
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.factors import Factor
from nexgent.accounts.models import Role
from nexgent.accounts.sessions import Session
from nexgent.accounts.shapes import EndedShape, FactorShape, OpenSessionShape, RecoveryCodesShape, TotpOfferShape
from nexgent.api import pagination
from nexgent.api.bodies import Body, Trimmed, read
from nexgent.api.openapi import describe, window
from nexgent.api.query import uuid_of
from nexgent.api.wire import stamp, stamp_or_none

TAG = "Sign-in"
LISTING = pagination.Listing(
    keys={"createdAt": pagination.by_time("created_at")},
    tie=pagination.by_id("id"),
    default="-createdAt",
    limit_default=None,
)


class TotpBody(Body):
    secret: str = Field(min_length=32, max_length=32)
    code: str = Field(min_length=6, max_length=10)


class NameBody(Body):
    name: Trimmed = Field(min_length=1, max_length=factors.NAME_MAX)


def session_wire(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "kind": session.kind,
        "address": session.address,
        "userAgent": session.user_agent,
        "createdAt": stamp(session.created_at),
        "lastUsedAt": stamp(session.used_at),
        "expiresAt": stamp(session.expires_at),
        "isCurrent": session.is_current,
    }


def factor_wire(factor: Factor) -> dict[str, Any]:
    return {
        "id": factor.id,
        "kind": factor.kind,
        "name": factor.name,
        "createdAt": stamp(factor.created_at),
        "lastUsedAt": stamp_or_none(factor.used_at),
        "codesLeft": factor.codes_left,
    }


class Sessions(Endpoint):
    @describe("listSessions", "Where one is signed in", tag=TAG, answer=list[OpenSessionShape], query=window(LISTING))
    def get(self, request: Request) -> Response:
        principal = request.principal
        current = principal.session_id or request._request.session.session_key
        found, wanted = sessions.listed(principal.user.pk, current=current), pagination.read(request, LISTING)
        return pagination.respond(
            request,
            wanted,
            wanted.picked(found),
            wire=lambda page: [session_wire(each) for each in page],
            total=lambda: len(found),
        )


class OneSession(Endpoint):
    roles = {"DELETE": Role.VIEWER}

    @describe("endSession", "End one session and its sockets", tag=TAG, status=204)
    def delete(self, request: Request, session_id: str) -> Response:
        sessions.end(request.principal.user.pk, uuid_of(session_id, "sessionId"))
        return Response(status=204)


class RevokeAll(Endpoint):
    roles = {"POST": Role.VIEWER}

    @describe("endAllSessions", "End every session, this one too, and all sockets", tag=TAG, answer=EndedShape)
    def post(self, request: Request) -> Response:
        ended = sessions.end_all(request.principal.user.pk)
        return Response({"success": True, "message": "Signed out everywhere.", "ended": ended})


class Factors(Endpoint):
    @describe("listFactors", "One's second factors", tag=TAG, answer=list[FactorShape])
    def get(self, request: Request) -> Response:
        return Response([factor_wire(each) for each in factors.listed(request.principal.user.pk)])


class OneFactor(Endpoint):
    roles = {"PATCH": Role.VIEWER, "DELETE": Role.VIEWER}
    step_up = {"PATCH": step_up.always, "DELETE": step_up.always}

    @describe(
        "renamePasskey",
        "Give a passkey another name",
        tag=TAG,
        body=NameBody,
        answer=FactorShape,
        refusals=("STEP_UP_REQUIRED",),
        example={"name": "Laptop"},
    )
    def patch(self, request: Request, factor_id: str) -> Response:
        name = read(NameBody, request.data).name
        return Response(factor_wire(factors.passkey_rename(request.principal.user, factor_id, name=name)))

    @describe(
        "removeFactor",
        "Take a second factor away",
        tag=TAG,
        description="Recovery codes go with the last one.",
        status=204,
        refusals=("STEP_UP_REQUIRED",),
    )
    def delete(self, request: Request, factor_id: str) -> Response:
        factors.factor_remove(request.principal.user, factor_id)
        return Response(status=204)


class TotpOffer(Endpoint):
    roles = {"POST": Role.VIEWER}
    step_up = {"POST": step_up.always}

    @describe(
        "offerTotp",
        "A new secret for an authenticator app",
        tag=TAG,
        description="Nothing is stored; send the secret back with a code of the app.",
        answer=TotpOfferShape,
        refusals=("STEP_UP_REQUIRED",),
    )
    def post(self, request: Request) -> Response:
        offer = factors.totp_offer(request.principal.user)
        return Response({"secret": offer.secret, "url": offer.url})


class Totp(Endpoint):
    roles = {"POST": Role.VIEWER}
    step_up = {"POST": step_up.always}

    @describe(
        "addTotp",
        "Add the authenticator app that showed this code",
        tag=TAG,
        body=TotpBody,
        example={"secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "code": "123456"},
        answer=RecoveryCodesShape,
        status=201,
        refusals=("STEP_UP_REQUIRED", "FACTOR_EXISTS"),
    )
    def post(self, request: Request) -> Response:
        body = read(TotpBody, request.data)
        codes = factors.totp_add(request.principal.user, secret=body.secret, code=body.code)
        return Response({"recoveryCodes": codes}, status=201)


class RecoveryCodes(Endpoint):
    roles = {"POST": Role.VIEWER}
    step_up = {"POST": step_up.always}

    @describe(
        "renewRecoveryCodes",
        "New recovery codes in place of the old ones",
        tag=TAG,
        answer=RecoveryCodesShape,
        status=201,
        refusals=("STEP_UP_REQUIRED", "NO_FACTOR"),
    )
    def post(self, request: Request) -> Response:
        return Response({"recoveryCodes": factors.recovery_codes_renew(request.principal.user)}, status=201)
