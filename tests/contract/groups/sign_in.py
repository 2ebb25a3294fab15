"""Sign-in by token (reference 2.1) and API keys (2.2)."""

from tests.contract.cases import ABSENT, Case
from tests.contract.world import PASSWORD, World, value

LOGIN = {"email": "{email}", "password": PASSWORD}
WRONG = {"email": "{email}", "password": "wrong"}


@value("session")
def _session(world: World) -> dict[str, str]:
    return dict(world.post("/auth/login", {"email": world["email"], "password": PASSWORD}, status=200))


@value("refreshToken")
def _refresh_token(world: World) -> str:
    return world["session"]["refreshToken"]


@value("keyId")
def _key_id(world: World) -> str:
    return str(world.post("/api-keys", {"name": "Desk", "scopes": ["signals"]})["id"])


def _is_no_administrator(world: World) -> None:
    from nexgent.accounts.models import User

    assert User.objects.filter(is_superuser=True).count() == 0


def _administrator(_world: World) -> None:
    from nexgent.accounts import services

    services.user_create(email="admin@example.com", password=PASSWORD, is_superuser=True)


ONE_KEY = "GET /api-keys/:keyId"
CASES = [
    Case("POST /auth/login", 200, body=LOGIN, who="nobody"),
    Case("POST /auth/login", 200, "rotating", body={**LOGIN, "rotateRefresh": True, "rememberMe": True}, who="nobody"),
    Case("POST /auth/login", 400, "no e-mail", body={"email": "x", "password": "x"}, who="nobody", fields=("email",)),
    Case("POST /auth/login", 400, "no password", body={"email": "a@b.c"}, who="nobody", fields=("password",)),
    Case("POST /auth/login", 401, "wrong password", body=WRONG, who="nobody", given=_administrator),
    Case(
        "POST /auth/login",
        401,
        "unknown e-mail",
        body={"email": "nobody@example.com", "password": "x"},
        who="nobody",
        given=_administrator,
        code="AUTHENTICATION_ERROR",
    ),
    Case(
        "POST /auth/login",
        423,
        "after five failures",
        body=WRONG,
        who="nobody",
        given=_administrator,
        repeat=5,
        code="ACCOUNT_LOCKED",
    ),
    Case("POST /auth/login", 429, body={"email": "x"}, who="nobody", repeat=6, code="RATE_LIMITED"),
    Case("POST /auth/login", 503, "no administrator yet", body=WRONG, who="nobody", given=_is_no_administrator),
    Case("POST /auth/refresh", 200, body={"refreshToken": "{refreshToken}"}, who="nobody"),
    Case("POST /auth/refresh", 400, body={}, who="nobody", fields=("refreshToken",)),
    Case("POST /auth/refresh", 401, "no token of ours", body={"refreshToken": "x"}, who="nobody"),
    Case("POST /auth/refresh", 429, body={}, who="nobody", repeat=11, code="RATE_LIMITED"),
    Case("POST /auth/logout", 200, body={"refreshToken": "{refreshToken}"}),
    Case("POST /auth/logout", 400, body={"refreshToken": 5}, fields=("refreshToken",)),
    Case("GET /auth/me", 200),
    Case("POST /api-keys", 201, body={"name": "Desk", "scopes": ["signals", "trade"]}),
    Case("POST /api-keys", 201, "signing", body={"name": "Desk", "scopes": ["signals"], "requiresSignature": True}),
    Case("POST /api-keys", 400, "no scope", body={"name": "Desk", "scopes": []}, fields=("scopes",)),
    Case("POST /api-keys", 400, "unknown scope", body={"name": "Desk", "scopes": ["everything"]}, fields=("scopes",)),
    Case("POST /api-keys", 400, "no name", body={"name": "", "scopes": ["signals"]}, fields=("name",)),
    Case("POST /api-keys", 403, "by a trader", body={"name": "Desk", "scopes": ["signals"]}, who="trader"),
    Case("GET /api-keys", 200, uses=("keyId",)),
    Case("GET /api-keys", 403, "by a trader", who="trader"),
    Case("GET /api-keys", 400, "no cursor of the list", query={"cursor": "x"}, fields=("cursor",)),
    Case(ONE_KEY, 200),
    Case(ONE_KEY, 400, path={"keyId": "x"}),
    Case(ONE_KEY, 404, path={"keyId": ABSENT}, code="API_KEY_NOT_FOUND"),
    Case("DELETE /api-keys/:keyId", 200),
    Case("DELETE /api-keys/:keyId", 400, path={"keyId": "x"}),
    Case("DELETE /api-keys/:keyId", 404, path={"keyId": ABSENT}, code="API_KEY_NOT_FOUND"),
]
