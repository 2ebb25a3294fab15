"""REST of accounts: sign-in with tokens, and API keys. Shapes as clients of the reference expect them."""

from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent.accounts import services, tokens
from nexgent.accounts.endpoints import Endpoint, one
from nexgent.accounts.models import ApiKey, Role, User
from nexgent.accounts.shapes import KeyShape, KeysShape, NewKeyShape, RefreshedShape, SessionShape, UserShape
from nexgent.api.addresses import client_address
from nexgent.api.bodies import Body, read
from nexgent.api.openapi import Link, describe
from nexgent.api.shapes import Done
from nexgent.api.throttling import limit
from nexgent.api.wire import stamp
from nexgent.errors import Refusal


class LoginBody(Body):
    email: str = Field(min_length=3, max_length=255, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str = Field(min_length=1, max_length=1024)
    remember_me: bool = False
    rotate_refresh: bool = False


class RefreshBody(Body):
    refresh_token: str = Field(min_length=1, max_length=tokens.TOKEN_LENGTH_MAX)


class LogoutBody(Body):
    refresh_token: str | None = Field(default=None, max_length=tokens.TOKEN_LENGTH_MAX)


class KeyBody(Body):
    name: str = Field(min_length=1, max_length=100)
    scopes: list[str] = Field(min_length=1, max_length=20)


def user_wire(user: User) -> dict[str, Any]:
    return {"id": user.id, "email": user.email, "createdAt": stamp(user.created_at)}


def key_wire(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "createdAt": stamp(key.created_at),
    }


class Login(Endpoint):
    authentication_classes = ()
    is_public = True
    throttle_classes = (limit("login", 5, by_address=True),)

    @describe(
        "signIn",
        "Sign in with e-mail and password",
        tag="Sign-in",
        body=LoginBody,
        answer=SessionShape,
        refusals=("AUTHENTICATION_ERROR", "ACCOUNT_LOCKED", "NO_ADMINISTRATOR"),
        example={"email": "you@example.com", "password": "correct-horse-battery-9"},
    )
    def post(self, request: Request) -> Response:
        body = read(LoginBody, request.data)
        try:
            user = services.authenticate(email=body.email, password=body.password, address=client_address(request))
        except Refusal as refusal:
            if refusal.code == "AUTHENTICATION_ERROR" and not services.has_administrator():
                raise Refusal(
                    "NO_ADMINISTRATOR", "There is no administrator yet. Run: manage.py create_admin"
                ) from refusal
            raise
        pair = tokens.open_session(user, remember_me=body.remember_me, rotate=body.rotate_refresh)
        return Response({"accessToken": pair.access, "refreshToken": pair.refresh, "user": user_wire(user)})


class Refresh(Endpoint):
    authentication_classes = ()
    is_public = True
    throttle_classes = (limit("refresh", 10, by_address=True),)

    @describe(
        "refreshToken",
        "The next access token",
        tag="Sign-in",
        body=RefreshBody,
        answer=RefreshedShape,
        refusals=("AUTHENTICATION_ERROR",),
    )
    def post(self, request: Request) -> Response:
        pair = tokens.refresh(read(RefreshBody, request.data).refresh_token)
        if pair.refresh is None:
            return Response({"accessToken": pair.access})
        return Response({"accessToken": pair.access, "refreshToken": pair.refresh})


class Logout(Endpoint):
    roles = {"POST": Role.VIEWER}

    @describe(
        "signOut", "End the session of the token", tag="Sign-in", body=LogoutBody, body_required=False, answer=Done
    )
    def post(self, request: Request) -> Response:
        body = read(LogoutBody, request.data)
        tokens.logout(request.principal, body.refresh_token)
        return Response({"success": True, "message": "Signed out."})


class Me(Endpoint):
    @describe("getMe", "Who is signed in", tag="Sign-in", answer=UserShape)
    def get(self, request: Request) -> Response:
        return Response(user_wire(request.principal.user))


class Keys(Endpoint):
    roles = {"GET": Role.OWNER, "POST": Role.OWNER}

    @describe("listKeys", "API keys of the workspace", tag="API keys", answer=KeysShape)
    def get(self, request: Request) -> Response:
        keys = ApiKey.objects.filter(workspace_id=request.principal.workspace_id, revoked_at=None).order_by("-id")
        return Response({"items": [key_wire(key) for key in keys]})

    @describe(
        "createKey",
        "Make an API key",
        tag="API keys",
        description="The key itself is in this answer only.",
        body=KeyBody,
        answer=NewKeyShape,
        status=201,
        example={"name": "bot", "scopes": ["signals"]},
        links={
            "Key": Link("getKey", {"keyId": "$response.body#/id"}),
            "End": Link("deleteKey", {"keyId": "$response.body#/id"}),
        },
    )
    def post(self, request: Request) -> Response:
        body = read(KeyBody, request.data)
        principal = request.principal
        new = services.api_key_create(
            user_id=principal.user.id, workspace_id=principal.workspace_id, name=body.name, scopes=body.scopes
        )
        return Response({**key_wire(new.key), "key": new.raw}, status=201)


class Key(Endpoint):
    roles = {"GET": Role.OWNER, "DELETE": Role.OWNER}

    @describe("getKey", "One API key", tag="API keys", answer=KeyShape)
    def get(self, request: Request, key_id: str) -> Response:
        return Response(key_wire(self._key(request, key_id)))

    @describe("deleteKey", "End an API key at once", tag="API keys", answer=Done)
    def delete(self, request: Request, key_id: str) -> Response:
        key = self._key(request, key_id)
        services.api_key_revoke(workspace_id=request.principal.workspace_id, key_id=key.id)
        return Response({"success": True, "message": "API key deleted."})

    def _key(self, request: Request, key_id: str) -> ApiKey:
        return one(ApiKey.objects.filter(revoked_at=None), request.principal, key_id, what="api_key")
