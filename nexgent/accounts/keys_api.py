"""`/api-keys`: keys of the workspace, with the least a job needs. Shapes as clients of the reference expect them."""

from datetime import timedelta
from typing import Annotated, Any

from django.db import transaction
from django.db.models import OuterRef, Subquery
from pydantic import Field, WithJsonSchema
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import clock, money
from nexgent.accounts import keys, networks, step_up
from nexgent.accounts.endpoints import Endpoint, mine, one
from nexgent.accounts.models import ApiKey, KeySpend, Role
from nexgent.accounts.principals import SCOPES
from nexgent.accounts.shapes import KeyShape, KeysShape, NewKeyShape, PresetShape
from nexgent.api import pagination
from nexgent.api.bodies import Body, DecimalValue, Moment, read
from nexgent.api.openapi import Link, describe, window
from nexgent.api.shapes import Done
from nexgent.api.wire import sol_text, stamp, stamp_or_none
from nexgent.errors import InvalidInput

GRACE_SECONDS = 3600
TAG = "API keys"
ScopeName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(SCOPES)})]
_PRESETS: Any = [*(preset.name for preset in keys.PRESETS), None]
LISTING = pagination.Listing(
    keys={"createdAt": pagination.by_id("id")}, tie=pagination.by_id("id"), default="-createdAt", limit_default=None
)
_LIMITS = ("expires_at", "addresses", "spend_limit_sol", "rate_per_minute")


class LimitsBody(Body):
    expires_at: Moment | None = None
    addresses: list[str] = Field(default=[], max_length=networks.ADDRESSES_MAX)
    spend_limit_sol: DecimalValue | None = None
    rate_per_minute: int | None = Field(default=None, json_schema_extra={"minimum": 1, "maximum": keys.RATE_MAX})


class KeyBody(LimitsBody):
    name: str = Field(min_length=1, max_length=100)
    scopes: list[ScopeName] | None = Field(default=None, min_length=1, max_length=20)
    preset: str | None = Field(default=None, max_length=50, json_schema_extra={"enum": _PRESETS})
    requires_signature: bool = Field(default=False, description="Every request of the key has to be signed.")


class KeyPatch(LimitsBody):
    name: str | None = Field(default=None, min_length=1, max_length=100)


class RotateBody(Body):
    grace_seconds: int = Field(
        default=GRACE_SECONDS,
        ge=0,
        le=int(keys.GRACE_MAX.total_seconds()),
        description="The old secret stays good for so long.",
    )


def key_wire(key: ApiKey) -> dict[str, Any]:
    """A key as `_readable` reads it: with its use and what it spent today."""
    used = getattr(key, "use", None)
    is_turning = key.previous_until is not None and key.previous_until > clock.now()
    limit = key.spend_limit_lamports
    spent = int(getattr(key, "spent_today", None) or 0)
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "createdAt": stamp(key.created_at),
        "expiresAt": stamp_or_none(key.expires_at),
        "lastUsedAt": None if used is None else stamp(used.at),
        "lastUsedFrom": None if used is None else used.address,
        "addresses": key.addresses,
        "spendLimitSol": None if limit is None else sol_text(limit),
        "spentTodaySol": None if limit is None else sol_text(spent),
        "ratePerMinute": key.rate_per_minute,
        "requiresSignature": bool(key.signing_secret),
        "previousGoodUntil": stamp_or_none(key.previous_until) if is_turning else None,
    }


def _new_wire(key: ApiKey, new: keys.NewKey) -> dict[str, Any]:
    return {**key_wire(key), "key": new.raw, "signingSecret": new.signing_secret or None}


def _readable() -> Any:
    today = KeySpend.objects.filter(key_id=OuterRef("pk"), day=clock.now().date()).values("lamports")
    return ApiKey.objects.filter(revoked_at=None).select_related("use").annotate(spent_today=Subquery(today))


def _lamports(body: LimitsBody) -> int | None:
    return None if body.spend_limit_sol is None else money.lamports(body.spend_limit_sol)


def _scopes(body: KeyBody) -> list[str]:
    if (body.scopes is None) == (body.preset is None):
        raise InvalidInput({"scopes": "is required (or a preset)"} if body.scopes is None else {"preset": "or scopes"})
    if body.scopes is not None:
        return body.scopes
    found = next((preset for preset in keys.PRESETS if preset.name == body.preset), None)
    if found is None:
        raise InvalidInput({"preset": f"must be one of {', '.join(preset.name for preset in keys.PRESETS)}"})
    return list(found.scopes)


def makes_guarded(request: Request) -> bool:
    """Whether the key to be made could move money."""
    body = request.data if isinstance(request.data, dict) else {}
    scopes = body.get("scopes") if isinstance(body.get("scopes"), list) else []
    preset = next((preset for preset in keys.PRESETS if preset.name == body.get("preset")), None)
    named = {scope for scope in scopes if isinstance(scope, str)} | set(preset.scopes if preset else ())
    return bool(named & keys.GUARDED)


class Keys(Endpoint):
    roles = {"GET": Role.OWNER, "POST": Role.OWNER}
    step_up = {"POST": makes_guarded}

    @describe(
        "listKeys",
        "API keys of the workspace",
        tag=TAG,
        answer=KeysShape,
        answer_headers=("ETag", "Link", "X-Total-Count"),
        query=window(LISTING),
    )
    def get(self, request: Request) -> Response:
        response = pagination.listed(request, LISTING, mine(_readable(), request.principal), wire=key_wire)
        response.data = {"items": response.data}
        return response

    @describe(
        "createKey",
        "Make an API key",
        tag=TAG,
        description="The key itself, and the secret it signs with, are in this answer only. The scopes `trade` and "
        "`config` ask for a fresh proof.",
        body=KeyBody,
        answer=NewKeyShape,
        status=201,
        refusals=("STEP_UP_REQUIRED", "TOO_MANY_KEYS"),
        example={"name": "bot", "scopes": ["signals"]},
        links={
            "Key": Link("getKey", {"keyId": "$response.body#/id"}),
            "End": Link("deleteKey", {"keyId": "$response.body#/id"}),
        },
    )
    def post(self, request: Request) -> Response:
        body, principal = read(KeyBody, request.data), request.principal
        limits = keys.Limits(body.expires_at, body.addresses, _lamports(body), body.rate_per_minute)
        new = keys.api_key_create(
            user_id=principal.user.id,
            workspace_id=principal.workspace_id,
            name=body.name,
            scopes=_scopes(body),
            limits=limits,
            is_signed=body.requires_signature,
        )
        return Response(_new_wire(new.key, new), status=201)


class Presets(Endpoint):
    roles = {"GET": Role.OWNER}

    @describe("listKeyPresets", "Scopes that common jobs need", tag=TAG, answer=list[PresetShape])
    def get(self, request: Request) -> Response:
        return Response(
            [
                {"name": each.name, "title": each.title, "about": each.about, "scopes": each.scopes}
                for each in keys.PRESETS
            ]
        )


class Key(Endpoint):
    roles = {"GET": Role.OWNER, "PATCH": Role.OWNER, "DELETE": Role.OWNER}

    @describe("getKey", "One API key", tag=TAG, answer=KeyShape)
    def get(self, request: Request, key_id: str) -> Response:
        return Response(key_wire(self._key(request, key_id)))

    @describe(
        "changeKey",
        "Rename a key, set its limits",
        tag=TAG,
        description="What is not sent stays. Limits of a key that can move money ask for a fresh proof.",
        body=KeyPatch,
        answer=KeyShape,
        refusals=("STEP_UP_REQUIRED",),
        example={"name": "bot of the garage"},
    )
    def patch(self, request: Request, key_id: str) -> Response:
        key = self._key(request, key_id)
        body = read(KeyPatch, request.data)
        sent = body.model_fields_set
        if sent & set(_LIMITS) and set(key.scopes) & keys.GUARDED:
            step_up.require(request.principal)
        with transaction.atomic():
            now = keys.locked(key.workspace_id, key.id)  # what is not sent stays as it is at this moment
            limits = keys.Limits(
                expires_at=body.expires_at if "expires_at" in sent else now.expires_at,
                addresses=body.addresses if "addresses" in sent else now.addresses,
                spend_limit_lamports=_lamports(body) if "spend_limit_sol" in sent else now.spend_limit_lamports,
                rate_per_minute=body.rate_per_minute if "rate_per_minute" in sent else now.rate_per_minute,
            )
            keys.api_key_change(workspace_id=key.workspace_id, key_id=key.id, name=body.name or now.name, limits=limits)
        return Response(key_wire(self._key(request, key_id)))

    @describe("deleteKey", "End an API key at once", tag=TAG, answer=Done)
    def delete(self, request: Request, key_id: str) -> Response:
        key = self._key(request, key_id)
        keys.api_key_revoke(workspace_id=request.principal.workspace_id, key_id=key.id)
        return Response({"success": True, "message": "API key deleted."})

    def _key(self, request: Request, key_id: str) -> ApiKey:
        return one(_readable(), request.principal, key_id, what="api_key", field="keyId")


class Rotate(Endpoint):
    """A new secret for the same key, its name, scopes and limits kept."""

    roles = {"POST": Role.OWNER}

    @describe(
        "rotateKey",
        "A new secret for a key",
        tag=TAG,
        description="The old secret stays good for `graceSeconds` (an hour; 0 ends it at once, at most a week).",
        body=RotateBody,
        body_required=False,
        answer=NewKeyShape,
        refusals=("STEP_UP_REQUIRED",),
        example={"graceSeconds": 600},
    )
    def post(self, request: Request, key_id: str) -> Response:
        principal = request.principal
        key = one(_readable(), principal, key_id, what="api_key", field="keyId")
        if set(key.scopes) & keys.GUARDED:
            step_up.require(principal)
        grace = timedelta(seconds=read(RotateBody, request.data or {}).grace_seconds)
        new = keys.api_key_rotate(workspace_id=key.workspace_id, key_id=key.id, grace=grace)
        return Response(_new_wire(one(_readable(), principal, key_id, what="api_key", field="keyId"), new))
