"""`/signal-hooks`: addresses that other services send alerts to; and `/hooks/:path`, where the alerts arrive."""

import hashlib
from typing import Any

from django.conf import settings
from django.db import transaction
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import clock
from nexgent.accounts import networks, step_up
from nexgent.accounts.endpoints import Endpoint, mine, one
from nexgent.accounts.models import Role
from nexgent.api import idempotency, pagination, signatures
from nexgent.api.addresses import client_address
from nexgent.api.bodies import Body, Moment, Trimmed, read
from nexgent.api.openapi import Param, describe, window
from nexgent.api.shapes import Done, Object
from nexgent.api.throttling import Limit
from nexgent.api.wire import stamp, stamp_or_none
from nexgent.errors import InvalidInput
from signals import hooks, live, templates
from signals import request as requests
from signals.models import SignalHook
from signals.shapes import HookShape, NewHookShape, SignalShape

TAG = "Signal hooks"
LISTING = pagination.Listing(
    keys={"createdAt": pagination.by_id("id")}, tie=pagination.by_id("id"), default="-createdAt", limit_default=None
)
PATH = (Param("hookPath", {"type": "string", "minLength": 1, "maxLength": 100}, "The secret part of the address."),)
TRADING_VIEW = {
    "tokenAddress": "{{ticker}}",
    "signalType": "TradingView",
    "signalStrength": 4,
    "side": {"from": "{{action}}", "map": {"buy": "buy", "sell": "sell"}, "default": "buy"},
}


class HookBody(Body):
    name: Trimmed = Field(min_length=1, max_length=100)
    template: dict[str, Any] = Field(default={}, max_length=len(templates.FIELDS))
    is_signed: bool = False
    window_seconds: int = 300
    expires_at: Moment | None = None
    addresses: list[str] = Field(default=[], max_length=networks.ADDRESSES_MAX)


class HookPatch(Body):
    name: Trimmed | None = Field(default=None, min_length=1, max_length=100)
    template: dict[str, Any] | None = None
    window_seconds: int | None = None
    is_active: bool | None = None
    expires_at: Moment | None = None
    addresses: list[str] | None = Field(default=None, max_length=networks.ADDRESSES_MAX)


class PreviewBody(Body):
    template: dict[str, Any]
    message: dict[str, Any]


class PerHook(Limit):
    """As many signals as any other sender, per hook, from wherever they come. The path is a secret: its hash counts."""

    name = "hook"
    per_minute = settings.SIGNAL_RATE

    def subject(self, request: Any) -> str:
        return f"path:{hashlib.sha256(request.path_info.encode()).hexdigest()}"


def hook_wire(hook: SignalHook) -> dict[str, Any]:
    return {
        "id": hook.id,
        "name": hook.name,
        "prefix": hook.prefix,
        "template": hook.template,
        "isSigned": bool(hook.secret),
        "windowSeconds": hook.window_seconds,
        "isActive": hook.is_active,
        "expiresAt": stamp_or_none(hook.expires_at),
        "addresses": hook.addresses,
        "createdAt": stamp(hook.created_at),
    }


def _new_wire(new: hooks.NewHook) -> dict[str, Any]:
    return {**hook_wire(new.hook), "path": f"/api/v1/hooks/{new.path}", "secret": new.secret or None}


def _hook(request: Request, hook_id: str, *, is_locked: bool = False) -> SignalHook:
    rows = SignalHook.objects.select_for_update(no_key=True) if is_locked else SignalHook.objects.all()
    return one(rows, request.principal, hook_id, what="signal_hook", field="hookId")


def opens_more(request: Request) -> bool:
    """Whether a change does more than rename a hook or switch it off."""
    body = request.data if isinstance(request.data, dict) else {}
    return body.get("isActive") is True or bool(body.keys() - {"name", "isActive"})


class Hooks(Endpoint):
    roles = {"GET": Role.OWNER, "POST": Role.OWNER}
    step_up = {"POST": step_up.always}

    @describe(
        "listSignalHooks",
        "Addresses that take alerts of other services",
        tag=TAG,
        answer=list[HookShape],
        query=window(LISTING),
    )
    def get(self, request: Request) -> Response:
        return pagination.listed(request, LISTING, mine(SignalHook.objects.all(), request.principal), wire=hook_wire)

    @describe(
        "createSignalHook",
        "Make an address that turns alerts into signals",
        tag=TAG,
        description="Its path, and the secret of a signed one, are in this answer only. Without a template the message "
        "has to be a signal. Whoever knows the path makes agents buy: a fresh proof is asked.",
        body=HookBody,
        answer=NewHookShape,
        status=201,
        refusals=("STEP_UP_REQUIRED", "TOO_MANY_HOOKS"),
        example={"name": "TradingView", "template": TRADING_VIEW},
    )
    def post(self, request: Request) -> Response:
        body, principal = read(HookBody, request.data), request.principal
        new = hooks.hook_create(
            workspace_id=principal.workspace_id,
            user_id=principal.user.id,
            name=body.name,
            template=body.template,
            is_signed=body.is_signed,
            limits=hooks.Limits(body.expires_at, body.addresses, body.window_seconds),
        )
        return Response(_new_wire(new), status=201)


class Preview(Endpoint):
    roles = {"POST": Role.OWNER}

    @describe(
        "previewSignalHook",
        "The signal that a template makes of a message",
        tag=TAG,
        description="Nothing is kept or traded.",
        body=PreviewBody,
        answer=Object,
        refusals=("SIDE_REQUIRED",),
        example={
            "template": TRADING_VIEW,
            "message": {"ticker": "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263", "action": "buy"},
        },
    )
    def post(self, request: Request) -> Response:
        body = read(PreviewBody, request.data)
        if problems := templates.problems_of(body.template):
            raise InvalidInput(problems)
        signal = templates.signal_of(body.template, body.message)
        requests.read(signal)
        return Response(signal)


class OneHook(Endpoint):
    roles = {"GET": Role.OWNER, "PATCH": Role.OWNER, "DELETE": Role.OWNER}
    step_up = {"PATCH": opens_more}

    @describe("getSignalHook", "One signal hook", tag=TAG, answer=HookShape)
    def get(self, request: Request, hook_id: str) -> Response:
        return Response(hook_wire(_hook(request, hook_id)))

    @describe(
        "changeSignalHook",
        "Change a signal hook or switch it off",
        tag=TAG,
        description="What is not sent stays. All but another name and switching it off asks for a fresh proof.",
        body=HookPatch,
        answer=HookShape,
        refusals=("STEP_UP_REQUIRED",),
        example={"isActive": False},
    )
    def patch(self, request: Request, hook_id: str) -> Response:
        body = read(HookPatch, request.data)
        given = body.model_dump(exclude_none=True)
        if "expires_at" in body.model_fields_set:
            given["expires_at"] = body.expires_at  # null lifts it
        with transaction.atomic():
            hook = _hook(request, hook_id, is_locked=True)
            now = {name: getattr(hook, name) for name in HookPatch.model_fields} | given
            limits = hooks.Limits(now["expires_at"], now["addresses"], now["window_seconds"])
            state = {name: now[name] for name in ("name", "template", "is_active")}
            hooks.hook_change(hook, **state, limits=limits)
        return Response(hook_wire(hook))

    @describe("deleteSignalHook", "End a signal hook", tag=TAG, answer=Done)
    def delete(self, request: Request, hook_id: str) -> Response:
        _hook(request, hook_id).delete()
        return Response({"success": True, "message": "Signal hook deleted."})


class RotateHook(Endpoint):
    roles = {"POST": Role.OWNER}
    step_up = {"POST": step_up.always}

    @describe(
        "rotateSignalHook",
        "A new path and secret for a signal hook",
        tag=TAG,
        answer=NewHookShape,
        refusals=("STEP_UP_REQUIRED",),
    )
    def post(self, request: Request, hook_id: str) -> Response:
        with transaction.atomic():
            new = hooks.hook_rotate(_hook(request, hook_id, is_locked=True))
        return Response(_new_wire(new))


class Arrival(Endpoint):
    """The path is the credential; any content type is read as JSON, for senders that cannot choose theirs."""

    authentication_classes = ()  # a sender's own Authorization header is none of ours
    is_public = True
    throttles = {"POST": (PerHook,)}

    @describe(
        "sendToHook",
        "Send an alert",
        tag=TAG,
        description="Signed hooks want `Nexgent-Signature: t=<unix seconds>,v1=<hex>`: HMAC-SHA256 of `<t>.<body>`.",
        body=Object,
        path=PATH,
        headers=(Param(signatures.HEADER, {"type": "string", "maxLength": 200}, "Signed hooks only."),),
        answer=SignalShape,
        status=201,
        refusals=(
            "SIGNAL_HOOK_NOT_FOUND",
            "ADDRESS_REFUSED",
            "SIGNATURE_WRONG",
            "SIGNATURE_EXPIRED",
            "MESSAGE_SEEN",
            "SIDE_REQUIRED",
            "SIGNAL_DUPLICATE",
        ),
        idempotent=True,
        example={"ticker": "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263", "action": "buy"},
    )
    def post(self, request: Request, hook_path: str) -> Response:
        received_at = clock.now()
        body, signature = request._request.body, request.headers.get(signatures.HEADER, "")
        hook = hooks.hook_of(hook_path, address=client_address(request))
        signed = hooks.believed(hook, body, signature=signature, received_at=received_at)

        def accept() -> Response:
            signal = hooks.accept(hook, body, signed=signed, received_at=received_at)
            return Response(live.signal_wire(signal), status=201)

        # The path is a secret: the hook's id names what the key belongs to.
        return idempotency.once(request, accept, scope=idempotency.Scope(f"hook:{hook.id}", "POST /hooks", body))
