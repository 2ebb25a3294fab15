"""REST of sign-in: tokens, password, proof. Shapes as clients of the reference expect them."""

from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent.accounts import factors, services, sessions, step_up, tokens
from nexgent.accounts.clients import client_of
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role, User
from nexgent.accounts.shapes import RefreshedShape, SessionShape, TokensShape, UserShape
from nexgent.api.addresses import client_address
from nexgent.api.bodies import Body, read
from nexgent.api.openapi import describe
from nexgent.api.shapes import Done
from nexgent.api.throttling import limit
from nexgent.api.wire import stamp
from nexgent.errors import InvalidInput, Refusal


class LoginBody(Body):
    email: str = Field(min_length=3, max_length=255, pattern=r"^[^@\s]+@[^@\s]+$")
    password: str = Field(min_length=1, max_length=1024)
    remember_me: bool = False
    rotate_refresh: bool = False
    code: str = Field(default="", max_length=20, description="Of the second factor, where there is one.")


class RefreshBody(Body):
    refresh_token: str = Field(min_length=1, max_length=tokens.TOKEN_LENGTH_MAX)


class LogoutBody(Body):
    refresh_token: str | None = Field(default=None, max_length=tokens.TOKEN_LENGTH_MAX)


class PasswordBody(Body):
    current_password: str = Field(min_length=1, max_length=1024)
    new_password: str = Field(min_length=1, max_length=1024)


class ProofBody(Body):
    password: str = Field(default="", max_length=1024)
    code: str = Field(default="", max_length=20)


def user_wire(user: User) -> dict[str, Any]:
    return {"id": user.id, "email": user.email, "createdAt": stamp(user.created_at)}


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
        refusals=("AUTHENTICATION_ERROR", "SECOND_FACTOR_REQUIRED", "CODE_WRONG", "ACCOUNT_LOCKED", "NO_ADMINISTRATOR"),
        example={"email": "you@example.com", "password": "correct-horse-battery-9"},
    )
    def post(self, request: Request) -> Response:
        body = read(LoginBody, request.data)
        try:
            user = services.sign_in(
                email=body.email, password=body.password, code=body.code, address=client_address(request)
            )
        except Refusal as refusal:
            if refusal.code == "AUTHENTICATION_ERROR" and not services.has_administrator():
                raise Refusal(
                    "NO_ADMINISTRATOR", "There is no administrator yet. Run: manage.py create_admin"
                ) from refusal
            raise
        pair = tokens.open_session(
            user, remember_me=body.remember_me, rotate=body.rotate_refresh, client=client_of(request)
        )
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
        example={"refreshToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.signature"},
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
    is_for_first_password = True

    @describe(
        "signOut",
        "End the session of the token",
        tag="Sign-in",
        body=LogoutBody,
        body_required=False,
        example={"refreshToken": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.signature"},
        answer=Done,
    )
    def post(self, request: Request) -> Response:
        body = read(LogoutBody, request.data)
        tokens.logout(request.principal, body.refresh_token)
        if request.principal.token_jti is None:
            sessions.close_page_session(request._request)
        return Response({"success": True, "message": "Signed out."})


class Me(Endpoint):
    is_for_first_password = True

    @describe("getMe", "Who is signed in", tag="Sign-in", answer=UserShape)
    def get(self, request: Request) -> Response:
        return Response(user_wire(request.principal.user))


class Password(Endpoint):
    """Change one's own password; the only way out of a first password."""

    roles = {"POST": Role.VIEWER}
    is_for_first_password = True
    step_up = {"POST": lambda request: factors.is_needed(request.principal.user.pk)}

    @describe(
        "changePassword",
        "Change the password",
        tag="Sign-in",
        description="Ends every session of the user, this one too, and opens a new one.",
        body=PasswordBody,
        example={"currentPassword": "correct-horse-battery-9", "newPassword": "another-horse-staple-7"},
        answer=TokensShape,
        refusals=("ACCOUNT_LOCKED", "STEP_UP_REQUIRED"),
    )
    def post(self, request: Request) -> Response:
        body, user_id = read(PasswordBody, request.data), request.principal.user.pk
        try:
            user = services.password_change(user_id=user_id, current=body.current_password, new=body.new_password)
        except InvalidInput as problem:
            raise InvalidInput({_WIRE.get(name, name): text for name, text in problem.problems.items()}) from problem
        pair = tokens.open_session(user, remember_me=False, rotate=False, client=client_of(request))
        done = {"success": True, "message": "The password was changed; every other session has ended."}
        return Response({**done, "accessToken": pair.access, "refreshToken": pair.refresh})


_WIRE = {"password": "newPassword"}


class StepUp(Endpoint):
    """Prove once more who one is: for ten minutes settings that move money are open."""

    roles = {"POST": Role.VIEWER}
    throttle_classes = (limit("step-up", 10),)

    @describe(
        "stepUp",
        "Confirm that it is you",
        tag="Sign-in",
        description="`code` where there is a second factor, else `password`. Good for ten minutes.",
        body=ProofBody,
        answer=Done,
        refusals=("CODE_WRONG", "ACCOUNT_LOCKED"),
        example={"password": "correct-horse-battery-9"},
    )
    def post(self, request: Request) -> Response:
        body, principal = read(ProofBody, request.data), request.principal
        services.proof_check(principal.user, password=body.password, code=body.code)
        if principal.session_id is not None:
            step_up.record_token(principal)
        else:
            step_up.record_page(request._request.session)
        return Response({"success": True, "message": "Confirmed for ten minutes."})
