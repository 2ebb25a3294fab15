"""Signal hooks: addresses that other services send alerts to, and the alerts."""

import hashlib
import hmac
import json
from typing import Any

from nexgent import clock
from signals.models import SignalHook
from tests.contract.cases import ABSENT, Case
from tests.contract.world import MINT, World, value

TEMPLATE = {"tokenAddress": "{{mint}}", "signalType": "Alert", "signalStrength": 4}
ALERT = {"mint": MINT}
NEW = {"name": "TradingView"}


def _made(world: World, **more: Any) -> Any:
    return world.post("/signal-hooks", {**NEW, "template": TEMPLATE, **more})


@value("hookId")
def _hook_id(world: World) -> str:
    return str(_made(world)["id"])


@value("hookPath")
def _hook_path(world: World) -> str:
    return str(_made(world)["path"]).rpartition("/")[2]


@value("signedHook")
def _signed(world: World) -> Any:
    return _made(world, isSigned=True)


@value("signedPath")
def _signed_path(world: World) -> str:
    return str(world["signedHook"]["path"]).rpartition("/")[2]


@value("signature")
def _signature(world: World) -> str:
    at, body = int(clock.now().timestamp()), json.dumps(ALERT).encode()
    code = hmac.new(world["signedHook"]["secret"].encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={code}"


def _elsewhere(world: World) -> None:
    SignalHook.objects.filter(id=world["signedHook"]["id"]).update(addresses=["203.0.113.0/24"])


def _off(world: World) -> None:
    SignalHook.objects.filter(id=world["signedHook"]["id"]).update(is_active=False)


ONE, ARRIVAL, PREVIEW = "/signal-hooks/:hookId", "POST /hooks/:hookPath", "POST /signal-hooks/preview"
SIGNED = {"hookPath": "{signedPath}"}
SIGNATURE = {"Nexgent-Signature": "{signature}"}


def _one(success: Case) -> list[Case]:
    route, body = success.route, success.body
    return [
        success,
        Case(route, 400, "no UUID", path={"hookId": "x"}, body=body),
        Case(route, 403, "by a trader", body=body, who="trader", code="AUTHORIZATION_ERROR"),
        Case(route, 404, path={"hookId": ABSENT}, body=body, code="SIGNAL_HOOK_NOT_FOUND"),
    ]


CASES = [
    Case("GET /signal-hooks", 200, uses=("hookId",)),
    Case("GET /signal-hooks", 403, "by a trader", who="trader", code="AUTHORIZATION_ERROR"),
    Case("GET /signal-hooks", 400, "no cursor of the list", query={"cursor": "x"}, fields=("cursor",)),
    Case("POST /signal-hooks", 201, body=NEW),
    Case("POST /signal-hooks", 400, body={}, fields=("name",)),
    Case("POST /signal-hooks", 403, "by a trader", body=NEW, who="trader", code="AUTHORIZATION_ERROR"),
    *_one(Case(f"GET {ONE}", 200)),
    *_one(Case(f"PATCH {ONE}", 200, body={"isActive": False})),
    *_one(Case(f"DELETE {ONE}", 200)),
    *_one(Case(f"POST {ONE}/rotate", 200)),
    Case(
        PREVIEW, 200, body={"template": {}, "message": {"tokenAddress": MINT, "signalType": "A", "signalStrength": 4}}
    ),
    Case(PREVIEW, 400, body={"template": {"price": 1}, "message": {}}, fields=("template.price",)),
    Case(ARRIVAL, 201, body=ALERT, who="nobody"),
    Case(ARRIVAL, 201, "signed", path=SIGNED, body=ALERT, headers=SIGNATURE, who="nobody"),
    Case(ARRIVAL, 400, body={"mint": "x"}, fields=("tokenAddress",), who="nobody"),
    Case(ARRIVAL, 401, path=SIGNED, body=ALERT, code="SIGNATURE_WRONG", who="nobody"),
    Case(
        ARRIVAL,
        403,
        path=SIGNED,
        body=ALERT,
        headers=SIGNATURE,
        given=_elsewhere,
        code="ADDRESS_REFUSED",
        who="nobody",
    ),
    Case(ARRIVAL, 404, path={"hookPath": "shk_nothing"}, body=ALERT, code="SIGNAL_HOOK_NOT_FOUND", who="nobody"),
    Case(ARRIVAL, 404, "switched off", path=SIGNED, body=ALERT, headers=SIGNATURE, given=_off, who="nobody"),
    Case(
        ARRIVAL,
        409,
        "seen",
        path=SIGNED,
        body=ALERT,
        headers=SIGNATURE,
        code="MESSAGE_SEEN",
        who="nobody",
        first=(Case(ARRIVAL, 201, path=SIGNED, body=ALERT, headers=SIGNATURE, who="nobody"),),
    ),
    Case(
        ARRIVAL,
        409,
        "the same signal",
        body=ALERT,
        code="SIGNAL_DUPLICATE",
        who="nobody",
        first=(Case(ARRIVAL, 201, body=ALERT, who="nobody"),),
    ),
    Case(
        ARRIVAL,
        422,
        body=ALERT,
        headers={"Idempotency-Key": "one"},
        code="IDEMPOTENCY_KEY_REUSED",
        who="nobody",
        first=(Case(ARRIVAL, 201, body={**ALERT, "n": 1}, headers={"Idempotency-Key": "one"}, who="nobody"),),
    ),
    Case(ARRIVAL, 413, body={"mint": "x" * 70_000}, code="PAYLOAD_TOO_LARGE", who="nobody"),
    Case(ARRIVAL, 429, body={}, code="RATE_LIMITED", repeat=121, who="nobody"),
]
