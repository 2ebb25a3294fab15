"""One operation of the OpenAPI text, from its record and what its endpoint says of itself.

What every route of a kind has in common is added here: request id, refusals of sign-in, scope, limits, path and body,
headers of limits and of repeated answers. Schemas come from pydantic in one call, so that a name is used once.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, get_origin

from pydantic import TypeAdapter
from rest_framework.views import APIView

from nexgent.api.openapi import Operation, Param
from nexgent.api.query import BIGINT_MAX
from nexgent.api.shapes import Error
from nexgent.api.throttling import classes_of
from nexgent.errors import status_of

SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key (`nex_…`)."},
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key of a bot. One made with `requiresSignature` sends `Nexgent-Signature: "
        "t=<unix seconds>,v1=<hex>` too: HMAC-SHA256 of `<t>.<METHOD> <path>?<query>`, a space and the "
        "`Idempotency-Key` where one is sent, a line feed and the body.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "nexgent_session",
        "description": "The session of the pages, with a CSRF token on writes.",
    },
}
REF = "#/components/schemas/"
_MEANINGS = {
    200: "Done.",
    201: "Made.",
    202: "Accepted; not final yet.",
    204: "Done; no content.",
    304: "Not changed since the ETag that was sent.",
    400: "Refused: the request or what it asks for is not valid.",
    401: "Who is asking is not known.",
    403: "Not allowed with this scope or role.",
    404: "It does not exist, or belongs to somebody else.",
    409: "It cannot be done in the present state.",
    412: "It has changed since.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The Idempotency-Key belongs to another request.",
    423: "Locked for a while.",
    429: "Too many requests.",
    502: "The venue refused.",
    503: "A dependency is down.",
    504: "The venue did not answer in time.",
}
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"description": "Names this request in answers and logs.", "schema": {"type": "string"}},
    "ETag": {"description": "Of this answer; send it as If-None-Match.", "schema": {"type": "string"}},
    "Link": {"description": 'The next and previous page: rel="next", rel="prev".', "schema": {"type": "string"}},
    "X-Total-Count": {"description": "How many rows there are in all.", "schema": {"type": "integer"}},
    "Idempotent-Replayed": {
        "description": "`true` when this is the kept answer to an earlier request.",
        "schema": {"type": "string"},
    },
    "RateLimit-Limit": {"description": "Requests per window.", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "Requests left in this window.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until the window ends.", "schema": {"type": "integer"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
}
_RATE = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_KEY = Param(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,200}$", "maxLength": 200},
    "The same key again within 24 hours gets the first answer again.",
)


_IF_NONE_MATCH = Param("If-None-Match", {"type": "string"}, "The ETag of an answer one has already.")
_PAGE_HEADERS = ("Link", "X-Total-Count")


class Schemas:
    """The schemas of all bodies and answers, made in one go; `resolve` puts references in their place."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted: dict[tuple[str, Any], Any] = {(_name(Error), "serialization"): Error}
        for operation in operations:
            if operation.body is not None:
                wanted[_name(operation.body), "validation"] = operation.body
            for shape in (operation.answer, *operation.also.values()):
                if shape is not None:
                    wanted[_name(shape), "serialization"] = shape
        inputs = [(name, mode, TypeAdapter(kind)) for (name, mode), kind in wanted.items()]
        self._found, made = TypeAdapter.json_schemas(inputs, ref_template=REF + "{model}")
        self.components: dict[str, Any] = {}
        for name, schema in made.get("$defs", {}).items():
            if _public(name) in self.components:
                raise ValueError(f"two schemas are named {_public(name)}")
            self.components[_public(name)] = _clean(schema) | {"title": _public(name)}

    def resolve(self, part: Any) -> Any:
        """The same with every `Placeholder` replaced by its schema."""
        if isinstance(part, Placeholder):
            return _clean(self._found[_name(part.kind), part.mode])  # type: ignore[index]
        if isinstance(part, dict):
            return {name: self.resolve(inner) for name, inner in part.items()}
        if isinstance(part, list):
            return [self.resolve(inner) for inner in part]
        return part


class Placeholder:
    """Stands for the schema of a body ("validation") or an answer ("serialization")."""

    def __init__(self, kind: Any, mode: str) -> None:
        self.kind, self.mode = kind, mode


def _public(name: str) -> str:
    """Clients read of an Agent, not of an AgentShape."""
    return name.removesuffix("Shape") or name


def _name(kind: Any) -> str:
    return f"{getattr(kind, '__module__', '')}.{getattr(kind, '__qualname__', '')}|{kind!r}"


EMAIL = r"^[^@\s]+@[^@\s]+$"
_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def _clean(schema: Any) -> Any:
    """Without pydantic's titles of fields, and with its bounds of exact decimals said in JSON Schema's words."""
    if isinstance(schema, list):
        return [_clean(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: _clean(inner) for name, inner in schema.items() if name not in _BOUNDS}
    if isinstance(schema.get("title"), str) and ("type" in schema or "anyOf" in schema) and "properties" not in schema:
        result.pop("title")
    if result.get("pattern") == EMAIL:
        result["format"] = "email"
        del result["pattern"]
    if result.get("default", "") is None:
        result.pop("default")  # absent and null mean the same; generated clients leave it out
    if isinstance(result.get("$ref"), str):
        result["$ref"] = _public(result["$ref"])
    bounds = {_BOUNDS[name]: json.loads(str(value)) for name, value in schema.items() if name in _BOUNDS}
    for branch in result.get("anyOf", []) if bounds else []:
        if branch.get("type") == "number":
            branch.update(bounds)
        elif "pattern" in branch and bounds.get("minimum", bounds.get("exclusiveMinimum", -1)) >= 0:
            branch["pattern"] = branch["pattern"].replace("-?", "")
    return result


def wire(
    operation: Operation,
    *,
    method: str,
    view: type[APIView] | None,
    converters: Mapping[str, str],
    examples: Mapping[str, Any],
) -> dict[str, Any]:
    """The operation object; schemas are placeholders until `Schemas.resolve`. `examples` are answers by status."""
    is_public = bool(getattr(view, "is_public", False)) if operation.is_public is None else operation.is_public
    scope = getattr(view, "scopes", {}).get(method)
    limits = _limits(view, method)
    part: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": [] if is_public else [{"bearer": []}, *([{"apiKey": []}] if scope else []), {"session": []}],
    }
    description = "\n\n".join(filter(None, [operation.description, _access(view, method, scope, is_public, limits)]))
    if description:
        part["description"] = description
    parameters = _parameters(operation, converters)
    if parameters:
        part["parameters"] = parameters
    if operation.body is not None:
        content: dict[str, Any] = {"schema": Placeholder(operation.body, "validation")}
        if operation.example is not None:
            content["example"] = operation.example
        body = {"required": operation.is_body_required, "content": {"application/json": content}}
        part["requestBody"] = body
    part["responses"] = _responses(operation, converters, is_public=is_public, is_limited=bool(limits))
    for status, example in examples.items():
        content = part["responses"].get(status, {}).get("content", {})
        if "application/json" in content:
            content["application/json"].setdefault("example", example)
    return part


def _limits(view: type[APIView] | None, method: str) -> list[Any]:
    if view is None:
        return []
    return [limit for limit in classes_of(view, method) if getattr(limit, "per_minute", 0)]


def _access(view: Any, method: str, scope: str | None, is_public: bool, limits: list[Any]) -> str:
    """Scope, role and limits in words."""
    if is_public:
        words = ["Needs no credential."]
    else:
        role = getattr(view, "roles", {}).get(method) or ("viewer" if method == "GET" else "trader")
        words = [f"Scope of API keys: `{scope}`." if scope else "Not for API keys.", f"Least role: {role}."]
    for limit in limits:
        who = "address" if limit.by_address else "caller and path" if limit.by_path else "caller"
        words.append(f"At most {limit.per_minute} per minute and {who}.")
    return " ".join(words)


def _parameters(operation: Operation, converters: Mapping[str, str]) -> list[dict[str, Any]]:
    told = {param.name: param for param in operation.path}
    found = [_parameter(told.get(name) or _in_path(name, kind), "path") for name, kind in converters.items()]
    found += [_parameter(param, "query") for param in operation.query]
    headers = [*operation.headers, *([_KEY] if operation.is_idempotent else [])]
    if get_origin(operation.answer) is list:
        headers.append(_IF_NONE_MATCH)
    return found + [_parameter(param, "header") for param in headers]


def _in_path(name: str, kind: str) -> Param:
    if kind == "int":
        return Param(name, {"type": "integer", "minimum": 0, "maximum": BIGINT_MAX})
    return Param(name, {"type": "string", "format": "uuid"})


def _parameter(param: Param, place: str) -> dict[str, Any]:
    wire: dict[str, Any] = {"name": param.name, "in": place, "schema": dict(param.schema)}
    if param.description:
        wire["description"] = param.description
    if place == "path" or param.is_required:
        wire["required"] = True
    return wire


def _responses(
    operation: Operation, converters: Mapping[str, str], *, is_public: bool, is_limited: bool
) -> dict[str, Any]:
    is_list = get_origin(operation.answer) is list
    headers = ["X-Request-Id", *operation.answer_headers, *(_RATE if is_limited else ())]
    if is_list:
        headers += ["ETag", *(_PAGE_HEADERS if any(param.name == "cursor" for param in operation.query) else ())]
    if operation.is_idempotent:
        headers.append("Idempotent-Replayed")
    found: dict[str, Any] = {}
    for status, shape in {operation.status: operation.answer, **operation.also}.items():
        answer: dict[str, Any] = {"description": _MEANINGS.get(status, "Done."), "headers": _named(headers)}
        if shape is not None:
            content: dict[str, Any] = {"schema": Placeholder(shape, "serialization")}
            if operation.answer_example is not None and status == operation.status:
                content["example"] = operation.answer_example
            answer["content"] = {operation.produces: content}
        if operation.links and status == operation.status:
            answer["links"] = {
                name: {"operationId": link.operation, "parameters": dict(link.parameters)}
                for name, link in operation.links.items()
            }
        found[str(status)] = answer
    if is_list:
        found["304"] = {"description": _MEANINGS[304], "headers": _named(["ETag"])}
    found.update(_refusals(operation, bool(converters), is_public=is_public, is_limited=is_limited))
    return found


def _refusals(operation: Operation, has_path: bool, *, is_public: bool, is_limited: bool) -> dict[str, Any]:
    codes = list(operation.refusals)
    if operation.body is not None or operation.query or has_path or operation.headers:
        codes.append("VALIDATION_ERROR")
    if not is_public:
        codes += ["AUTHENTICATION_ERROR", "AUTHORIZATION_ERROR"]
    if has_path:
        codes.append("NOT_FOUND")
    if "agent_id" in getattr(operation.body, "model_fields", ()) or any(
        one.name == "agentId" for one in operation.query
    ):
        codes.append("AGENT_NOT_FOUND")
    if operation.body is not None:
        codes += ["PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"]
    if operation.is_idempotent:
        codes += ["VALIDATION_ERROR", "IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_KEY_REUSED"]
    if is_limited:
        codes.append("RATE_LIMITED")
    codes.append("DEPENDENCY_DOWN")
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        by_status[415 if code == "UNSUPPORTED_MEDIA_TYPE" else status_of(code)].append(code)
    return {
        str(status): {
            "description": f"{_MEANINGS.get(status, 'Refused.')} Codes: {', '.join(by_status[status])}.",
            "headers": _named(["X-Request-Id", *(("Retry-After", *_RATE) if status == 429 else ())]),
            "content": {"application/json": {"schema": Placeholder(Error, "serialization")}},
        }
        for status in sorted(by_status)
        if str(status) not in {str(operation.status), *map(str, operation.also)}
    }


def _named(headers: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in dict.fromkeys(headers)}
