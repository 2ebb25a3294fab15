"""The OpenAPI 3.1 text of all routes under `/api/v1`, made from routes, endpoints and their `Operation` records.

drf-spectacular walks the routes and frames the document; what an operation is comes from `nexgent.api.openapi`, what a
body or answer looks like from pydantic. Built once per process, when somebody asks.
"""

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from drf_spectacular.generators import EndpointEnumerator
from drf_spectacular.plumbing import build_root_object, normalize_result_object
from pydantic.alias_generators import to_camel
from rest_framework.views import APIView

from nexgent.api import operations
from nexgent.api.openapi import Operation
from nexgent.api.rendering import dumps

PREFIX = "/api/v1"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
EXAMPLES = Path(__file__).with_name("examples.json")
"""Answers by route and status, made from those that the tests of the contract compare with."""
_OPTIONAL_PREFIX = "^(?:api/v1/)?"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one route: the path as clients write it, and the view behind it."""

    method: str
    path: str
    view: Callable[..., Any]
    converters: dict[str, str]
    """Path parameter (wire name) to its converter (`int` or `str`)."""

    @property
    def endpoint(self) -> type[APIView] | None:
        """The endpoint, with what its route sets (`as_view(is_unlimited=True)`)."""
        found: type[APIView] | None = getattr(self.view, "cls", None)
        given = getattr(self.view, "initkwargs", {})
        if found is None or not given:
            return found
        return type(found.__name__, (found,), {**given, "__module__": found.__module__})

    @property
    def operation(self) -> Operation | None:
        """The description, if there is one; a second method or route of the same function gets an id of its own."""
        found = getattr(self.endpoint, self.method.lower(), None) if self.endpoint else self.view
        operation: Operation | None = getattr(found, "operation", None)
        if operation is None or not self.endpoint:
            return operation
        names = [name for name in METHODS if getattr(self.endpoint, name.lower(), None) is found]
        if names[0] != self.method:
            return replace(operation, id=operation.id + self.method.capitalize())
        return operation


class _Walk(EndpointEnumerator):
    """All routes under the prefix, plain views too."""

    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        return path.startswith(PREFIX + "/")

    def get_path_from_regex(self, path_regex: str) -> str:
        if path_regex.startswith(_OPTIONAL_PREFIX):
            return f"{PREFIX}/{path_regex.removeprefix(_OPTIONAL_PREFIX).removesuffix('/?$')}"
        return "/" + path_regex.lstrip("/")

    def get_allowed_methods(self, callback: Any) -> list[str]:
        endpoint = getattr(callback, "cls", None)
        if endpoint is None:
            operation = getattr(callback, "operation", None)
            return [operation.method if operation else "GET"]
        return [method for method in METHODS if hasattr(endpoint, method.lower())]


def routes() -> list[Route]:
    """Every method of every route under `/api/v1`, in the order of the paths."""
    found = []
    for path, _, method, view in _Walk().get_api_endpoints():
        converters = {to_camel(name): kind for kind, name in re.findall(r"<(?:(\w+):)?(\w+)>", path)}
        wire = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: "{" + to_camel(match[1]) + "}", path)
        found.append(Route(method, wire, view, converters))
    return found


def undescribed() -> list[str]:
    """Methods of routes that nobody described; the text lacks them."""
    return [f"{route.method} {route.path}" for route in routes() if route.operation is None]


@functools.cache
def document() -> dict[str, Any]:
    """The whole text as a dictionary; treat it as read-only."""
    described = list(_distinct(route for route in routes() if route.operation is not None))
    schemas = operations.Schemas([operation for _, operation in described])
    paths: dict[str, dict[str, Any]] = {}
    examples = json.loads(EXAMPLES.read_text())
    for route, operation in described:
        part = operations.wire(
            operation,
            method=route.method,
            view=route.endpoint,
            converters=route.converters,
            examples=examples.get(f"{route.method} {route.path}", {}),
        )
        paths.setdefault(route.path, {})[route.method.lower()] = schemas.resolve(part)
    components = {
        "schemas": schemas.components,
        "headers": operations.HEADERS,
        "securitySchemes": operations.SECURITY,
    }
    root = build_root_object(paths, components, {}, None)
    root["tags"] = [{"name": name} for name in dict.fromkeys(operation.tag for _, operation in described)]
    result: dict[str, Any] = normalize_result_object(root)
    return result


def _distinct(found: Iterator[Route]) -> Iterator[tuple[Route, Operation]]:
    """A view that answers on a second route is there a second operation, named after the route's first word."""
    seen: set[str] = set()
    for route in found:
        operation = route.operation
        assert operation is not None
        if operation.id in seen:
            word = route.path.removeprefix(PREFIX + "/").partition("/")[0].replace("-", "_")
            operation = replace(operation, id=f"{operation.id}In{to_camel(word)[:1].upper()}{to_camel(word)[1:]}")
        seen.add(operation.id)
        yield route, operation


@functools.cache
def served() -> tuple[bytes, str]:
    """The text as JSON bytes, and its ETag."""
    body = dumps(document())
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'
