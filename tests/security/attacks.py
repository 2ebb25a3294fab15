"""The attacks of the abuse table: each sends what an attacker would and returns what came back.

`@attack(name, status, code)` puts a function into the table; it gets a `Scene` and returns the answer (or several, the
last of which counts).
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
from django.conf import settings
from django.test import Client

from nexgent import clock
from nexgent.accounts import services, tokens
from nexgent.accounts.models import TokenSession, User
from nexgent.api import throttling
from tests.integration.api_client import ADDRESSES, Api, sign_up
from tests.security.people import PASSWORD, client_of, workspace_of

MINT = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
SIGNALS = "/api/v1/trading-signals"
SIGNAL = {"tokenAddress": MINT, "signalType": "Velocity", "signalStrength": 4, "symbol": "BONK"}
REFUSED, INVALID = (401, "AUTHENTICATION_ERROR"), (400, "VALIDATION_ERROR")


@dataclass
class Scene:
    """An owner with a client, a stranger, and a way to lift the request limits."""

    patch: Any
    owner: User = field(default_factory=lambda: sign_up("owner@example.com"))
    address: str = field(default_factory=lambda: next(ADDRESSES))

    @property
    def api(self) -> Api:
        return client_of(self.owner)

    def without_limits(self) -> None:
        self.patch.setattr(throttling.Limit, "allow_request", lambda *_: True)

    def pair(self, **how: bool) -> tokens.Pair:
        return tokens.open_session(self.owner, remember_me=False, rotate=how.get("rotate", False))

    def forged(self, *, key: str = "", algorithm: str = "HS256", **claims: Any) -> str:
        """An access token made with our own or another key, one claim or another being wrong."""
        access = jwt.decode(self.pair().access, options={"verify_signature": False})
        secret = None if algorithm == "none" else key or settings.JWT_SIGNING_KEY
        return jwt.encode({**access, **claims}, secret, algorithm=algorithm)

    def asks(self, token: str) -> Any:
        return Api(token).get("/api/v1/agents")

    def guess(self, password: str, *, email: str = "", address: str = "") -> Any:
        body = {"email": email or self.owner.email, "password": password}
        return Api(address=address or self.address).post("/api/v1/auth/login", body)

    def signal(self, body: Any = None, **headers: str) -> Any:
        return self.api.post(SIGNALS, SIGNAL if body is None else body, **headers)


@dataclass(frozen=True)
class Attack:
    name: str
    status: int
    code: str
    run: Callable[[Scene], Any]


ATTACKS: list[Attack] = []


def attack(name: str, status: int, code: str = "") -> Callable[[Callable[[Scene], Any]], Callable[[Scene], Any]]:
    def put(run: Callable[[Scene], Any]) -> Callable[[Scene], Any]:
        ATTACKS.append(Attack(name, status, code, run))
        return run

    return put


def _add(name: str, expected: tuple[int, str], run: Callable[[Scene], Any]) -> None:
    ATTACKS.append(Attack(name, *expected, run))


# --- Guessing ---------------------------------------------------------------------------------------------------------


@attack("passwords guessed from one address", 429, "RATE_LIMITED")
def _guesses(scene: Scene) -> Any:
    return [scene.guess(f"wrong {n}") for n in range(6)][-1]


@attack("passwords guessed slower than the limit", 423, "ACCOUNT_LOCKED")
def _slow_guesses(scene: Scene) -> Any:
    scene.without_limits()
    return [scene.guess(f"wrong {n}") for n in range(6)][-1]


@attack("the right password while locked", 423, "ACCOUNT_LOCKED")
def _locked(scene: Scene) -> Any:
    _slow_guesses(scene)
    return scene.guess(PASSWORD)


@attack("passwords guessed for an e-mail nobody has", 423, "ACCOUNT_LOCKED")
def _unknown(scene: Scene) -> Any:
    scene.without_limits()
    return [scene.guess(f"wrong {n}", email="nobody@example.com") for n in range(6)][-1]


@attack("another address while the first is locked (its owner)", 200)
def _elsewhere(scene: Scene) -> Any:
    _slow_guesses(scene)
    return scene.guess(PASSWORD, address=next(ADDRESSES))


_add("password as a list", INVALID, lambda scene: scene.guess([PASSWORD]))
_add("password of a megabyte", INVALID, lambda scene: scene.guess("x" * 1_000_000))

# --- Tokens -----------------------------------------------------------------------------------------------------------

_add("refresh token as access token", REFUSED, lambda scene: scene.asks(str(scene.pair().refresh)))
_add(
    "access token as refresh token",
    REFUSED,
    lambda scene: Api().post("/api/v1/auth/refresh", {"refreshToken": scene.pair().access}),
)
_add("token without a signature (alg none)", REFUSED, lambda scene: scene.asks(scene.forged(algorithm="none")))
_add("token of another key", REFUSED, lambda scene: scene.asks(scene.forged(key="k" * 64)))
_add("token of another algorithm", REFUSED, lambda scene: scene.asks(scene.forged(algorithm="HS512")))
_add("expired token", REFUSED, lambda scene: scene.asks(scene.forged(exp=_at(seconds=-1))))
_add("token without an end", REFUSED, lambda scene: scene.asks(_without(scene.forged(), "exp")))
_add("token from the future (clock skew)", REFUSED, lambda scene: scene.asks(scene.forged(nbf=_at(hours=1))))
_add("token for nobody", REFUSED, lambda scene: scene.asks(scene.forged(userId=str(uuid4()))))
_add("token whose user is no UUID", REFUSED, lambda scene: scene.asks(scene.forged(userId="1 OR 1=1")))
_add("token of 10 kB", REFUSED, lambda scene: scene.asks("x" * 10_000))
_add("token cut short", REFUSED, lambda scene: scene.asks(scene.pair().access[:-3]))
_add("password as Basic authorization", REFUSED, lambda scene: Api().get("/api/v1/agents", Authorization="Basic eDp5"))


def _at(**delta: float) -> int:
    return int((clock.now() + timedelta(**delta)).timestamp())


def _without(token: str, claim: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    claims.pop(claim)
    return jwt.encode(claims, settings.JWT_SIGNING_KEY, algorithm="HS256")


@attack("token with the session of another", *REFUSED)
def _foreign_session(scene: Scene) -> Any:
    other = sign_up("other@example.com")
    tokens.open_session(other, remember_me=False, rotate=False)
    theirs = TokenSession.objects.get(user=other)
    return scene.asks(scene.forged(sid=str(theirs.id), jti=str(theirs.jti)))


@attack("token after log-out", *REFUSED)
def _logged_out(scene: Scene) -> Any:
    api = Api(scene.pair().access)
    api.post("/api/v1/auth/logout", {})
    return api.get("/api/v1/agents")


@attack("token after a password change", *REFUSED)
def _changed(scene: Scene) -> Any:
    api = Api(scene.pair().access)
    services.password_change(user_id=scene.owner.id, current=PASSWORD, new="Another-Horse-7-Staple")
    return api.get("/api/v1/agents")


@attack("token of a person who was switched off", *REFUSED)
def _inactive(scene: Scene) -> Any:
    api = Api(scene.pair().access)
    User.objects.filter(id=scene.owner.id).update(is_active=False)
    return api.get("/api/v1/agents")


@attack("refresh token used again: the session ends", *REFUSED)
def _reused(scene: Scene) -> Any:
    first = str(scene.pair(rotate=True).refresh)
    second = Api().post("/api/v1/auth/refresh", {"refreshToken": first}).json()
    TokenSession.objects.update(rotated_at=clock.now() - timedelta(minutes=1))
    assert Api().post("/api/v1/auth/refresh", {"refreshToken": first}).status_code == 401
    return Api(second["accessToken"]).get("/api/v1/agents")


# --- Keys -------------------------------------------------------------------------------------------------------------


def _key(scene: Scene, *scopes: str) -> Any:
    workspace = workspace_of(scene.owner)
    return services.api_key_create(user_id=scene.owner.id, workspace_id=workspace, name="bot", scopes=scopes)


@attack("revoked key", *REFUSED)
def _revoked(scene: Scene) -> Any:
    new = _key(scene, "signals")
    services.api_key_revoke(workspace_id=workspace_of(scene.owner), key_id=new.key.id)
    return Api(new.raw).get(SIGNALS)


@attack("key with another last character", *REFUSED)
def _altered(scene: Scene) -> Any:
    raw = _key(scene, "signals").raw
    return Api(raw[:-1] + ("A" if raw[-1] != "A" else "B")).get(SIGNALS)


@attack("key in the address", *REFUSED)
def _in_address(scene: Scene) -> Any:
    raw = _key(scene, "signals").raw
    return Api().get(f"{SIGNALS}?apiKey={raw}&api_key={raw}&token={raw}")


@attack("hash of a key as key", *REFUSED)
def _hash(scene: Scene) -> Any:
    return Api("nex_" + _key(scene, "signals").key.key_hash[:32]).get(SIGNALS)


_add(
    "key without the scope",
    (403, "AUTHORIZATION_ERROR"),
    lambda scene: Api(_key(scene, "agents").raw).post(SIGNALS, SIGNAL),
)
_add(
    "key that makes itself a key",
    (403, "AUTHORIZATION_ERROR"),
    lambda scene: Api(_key(scene, "full_access").raw).post("/api/v1/api-keys", {"name": "x", "scopes": ["trade"]}),
)
_add(
    "key of full access that trades",
    (403, "AUTHORIZATION_ERROR"),
    lambda scene: Api(_key(scene, "full_access").raw).post("/api/v1/trades/execute", {}),
)

# --- Other people's things (the whole of it: test_ownership) ---


@attack("agent of another workspace", 404, "AGENT_NOT_FOUND")
def _foreign_agent(scene: Scene) -> Any:
    agent = scene.api.post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    return client_of(sign_up("other@example.com")).get(f"/api/v1/agents/{agent}")


@attack("agent given to another workspace in its body", 200)
def _given_away(scene: Scene) -> Any:
    other = sign_up("other@example.com")
    api = scene.api
    agent = api.post("/api/v1/agents", {"name": "Momentum"}).json()["id"]
    theirs = {"workspaceId": str(workspace_of(other)), "userId": str(other.id), "id": str(uuid4())}
    answer = api.put(f"/api/v1/agents/{agent}", {"name": "Still mine", **theirs})
    assert client_of(other).get("/api/v1/agents").json() == []
    assert (answer.json()["id"], answer.json()["userId"]) == (agent, str(scene.owner.id))
    return answer


# --- Bodies -----------------------------------------------------------------------------------------------------------


def _raw(body: bytes | str, kind: str = "application/json", **headers: str) -> Callable[[Scene], Any]:
    def send(scene: Scene) -> Any:
        api = scene.api
        data = body.encode() if isinstance(body, str) else body
        return api.client.generic("POST", SIGNALS, data, content_type=kind, headers={**api.headers, **headers})

    return send


def _with(**fields: Any) -> Callable[[Scene], Any]:
    return lambda scene: scene.signal({**SIGNAL, **fields})


TEXT = json.dumps(SIGNAL)
for _name, _expected, _run in (
    ("JSON nested 100,000 deep", INVALID, _raw("[" * 100_000 + "]" * 100_000)),
    ("JSON nested 40 deep", INVALID, _raw('{"a":' * 40 + "1" + "}" * 40)),
    ("number of nine characters and a million digits", INVALID, _raw(TEXT[:-1] + ', "x": 1e999999}')),
    ("number of 100,000 digits", INVALID, _raw(TEXT[:-1] + f', "x": {"9" * 100_000}}}')),
    ("NaN", INVALID, _raw(TEXT.replace("4", "NaN"))),
    ("Infinity", INVALID, _raw(TEXT.replace("4", "-Infinity"))),
    ("a name that stands twice", INVALID, _raw(TEXT[:-1] + ', "signalStrength": 1}')),
    ("half a body", INVALID, _raw(TEXT[:20])),
    ("a list for an object", INVALID, _raw(f"[{TEXT}]")),
    ("a body of 1.1 MB", (413, "PAYLOAD_TOO_LARGE"), _raw(TEXT[:-1] + f', "x": "{"x" * 1_100_000}"}}')),
    ("JSON as text/plain", (415, "UNSUPPORTED_MEDIA_TYPE"), _raw(TEXT, "text/plain")),
    ("JSON as a form", (415, "UNSUPPORTED_MEDIA_TYPE"), _raw(TEXT, "application/x-www-form-urlencoded")),
    ("JSON as multipart", (415, "UNSUPPORTED_MEDIA_TYPE"), _raw(TEXT, "multipart/form-data; boundary=x")),
    ("XML with an entity", (415, "UNSUPPORTED_MEDIA_TYPE"), _raw("<!DOCTYPE a><a/>", "application/xml")),
    ("JSON in UTF-16", INVALID, _raw(TEXT.encode("utf-16"), "application/json; charset=utf-16")),
    ("bytes that are no UTF-8", INVALID, _raw(TEXT.encode().replace(b"BONK", b"\xff\xfe"))),
    ("a compressed body", INVALID, _raw(gzip.compress(b"x" * 10_000_000), **{"Content-Encoding": "gzip"})),
    ("NUL in a text", INVALID, _raw(TEXT.replace("BONK", "BO\\u0000NK"))),
    ("half a surrogate pair in a text", INVALID, _raw(TEXT.replace("BONK", "\\ud800"))),
    ("text for a number", INVALID, _with(signalStrength="4")),
    ("true for a number", INVALID, _with(signalStrength=True)),
    ("a strength of 2^64", INVALID, _with(signalStrength=2**64)),
    ("a symbol of 5,000 characters", INVALID, _with(symbol="x" * 5_000)),
    ("an address with a Cyrillic letter", (400, "VALIDATION_ERROR"), _with(tokenAddress=MINT[:-1] + "а")),
    ("an address in lower case", INVALID, _with(tokenAddress="l" * 44)),
    ("a symbol written from right to left", (201, ""), _with(symbol="\u202eKNOB")),
    ("a symbol of emoji", (201, ""), _with(symbol="🚀👩‍👩‍👧")),
    ("a symbol that is a script", (201, ""), _with(symbol="<script>alert(1)</script>"[:50])),
    ("a symbol that is SQL", (201, ""), _with(symbol="'; DROP TABLE x; --")),
    ("fields nobody asked for", (201, ""), _with(id=1, workspaceId=str(uuid4()), createdAt="1970-01-01", revision=9)),
):
    _add(_name, _expected, _run)

# --- Addresses, headers, methods --------------------------------------------------------------------------------------


def _get(path: str, **headers: str) -> Callable[[Scene], Any]:
    return lambda scene: scene.api.get(path, **headers)


for _name, _expected, _run in (
    ("an offset of 10^12", INVALID, _get("/api/v1/trading-signals?offset=1000000000000")),
    ("an offset of 10^40", INVALID, _get("/api/v1/trading-signals?offset=1" + "0" * 40)),
    ("a negative offset", INVALID, _get("/api/v1/trading-signals?offset=-1")),
    ("a limit of 0", INVALID, _get("/api/v1/trading-signals?limit=0")),
    ("a limit of a million", INVALID, _get("/api/v1/trading-signals?limit=1000000")),
    ("digits of another script", INVALID, _get("/api/v1/trading-signals?limit=１００")),
    ("NUL in a filter", INVALID, _get("/api/v1/trading-signals?tokenAddress=%00")),
    ("a sort that is SQL", INVALID, _get("/api/v1/agents?sort=name;DROP%20TABLE")),
    ("a cursor of one's own making", INVALID, _get("/api/v1/trading-signals?cursor=WyIxIl0:x")),
    ("a filter that is SQL", (200, ""), _get("/api/v1/trading-signals?tokenAddress=' OR 1=1 --")),
    ("a path that climbs", (404, "NOT_FOUND"), _get("/api/v1/agents/../../../etc/passwd")),
    ("a path that climbs, encoded", (404, "NOT_FOUND"), _get("/api/v1/agents/%2e%2e%2f%2e%2e%2fetc%2fpasswd")),
    ("NUL in a path", INVALID, _get("/api/v1/agents/%00")),
    ("static files outside their folder", (404, ""), _get("/static/../nexgent/settings.py")),
    ("static files outside their folder, encoded", (404, ""), _get("/static/%2e%2e/%2e%2e/.env")),
    ("a static file by its absolute path", (404, ""), _get("/static//etc/passwd")),
    ("2,000 parameters", (400, ""), _get("/api/v1/agents?" + "&".join(f"a{n}=1" for n in range(2_000)))),
    ("an Idempotency-Key with a line end", INVALID, lambda scene: scene.signal(**{"Idempotency-Key": "a\r\nb"})),
    ("an Idempotency-Key of 300 characters", INVALID, lambda scene: scene.signal(**{"Idempotency-Key": "x" * 300})),
    ("method TRACE", (405, "METHOD_NOT_ALLOWED"), lambda scene: _of(scene, "TRACE")),
    ("a method nobody knows", (405, "METHOD_NOT_ALLOWED"), lambda scene: _of(scene, "PROPFIND")),
):
    _add(_name, _expected, _run)


def _of(scene: Scene, method: str) -> Any:
    api = scene.api
    return api.client.generic(method, "/api/v1/agents", headers=api.headers)


@attack("a method overridden by header, field or parameter", 200)
def _override(scene: Scene) -> Any:
    api = scene.api
    agent = f"/api/v1/agents/{api.post('/api/v1/agents', {'name': 'Momentum'}).json()['id']}"
    api.get(f"{agent}?_method=DELETE", **{"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"})
    return api.get(agent)


@attack("a request id with a header in it", 200)
def _request_id(scene: Scene) -> Any:
    answer = scene.api.get("/api/v1/agents", **{"X-Request-Id": "a\r\nSet-Cookie: stolen=1"})
    assert "stolen" not in str(answer.headers)
    assert not answer.cookies
    return answer


@attack("a way back that leads to another site", 302)
def _open_redirect(scene: Scene) -> Any:
    answer: Any = None
    for target in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\r\nX: 1"):
        body = {"email": scene.owner.email, "password": PASSWORD, "next": target}
        answer = Client(REMOTE_ADDR="198.51.100.9").post("/sign-in/", body)
        assert answer["Location"].startswith("/")
        assert "evil" not in answer["Location"], target
    return answer


@attack("a session chosen before sign-in", 302)
def _fixation(scene: Scene) -> Any:
    browser = Client()
    browser.cookies[settings.SESSION_COOKIE_NAME] = "chosen0by0the0attacker0000000000"
    answer = browser.post("/sign-in/", {"email": scene.owner.email, "password": PASSWORD})
    assert browser.cookies[settings.SESSION_COOKIE_NAME].value != "chosen0by0the0attacker0000000000"
    return answer


@attack("the session of a page from a foreign form", 403, "AUTHORIZATION_ERROR")
def _foreign_form(scene: Scene) -> Any:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(scene.owner, backend="nexgent.accounts.authentication.EmailBackend")
    return browser.post(SIGNALS, TEXT, content_type="application/json")
