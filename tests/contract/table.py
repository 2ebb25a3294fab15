"""The committed table of the interface, and the routes that the product really has."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "data" / "contract.json"
_OPTIONAL_PREFIX = "^(?:api/v1/)?"
_API = "api/v1/"
_HEALTH = ("health", "metrics")


@dataclass(frozen=True, slots=True)
class Row:
    """One method of one route: where it comes from, the statuses it promises, and how it differs from the reference."""

    route: str
    origin: str
    statuses: tuple[int, ...]
    differs: str = ""
    pending: bool = False


def rows() -> dict[str, Row]:
    """The table by route."""
    table = json.loads(FILE.read_text())["routes"]
    return {route: Row(route=route, **{**row, "statuses": tuple(row["statuses"])}) for route, row in table.items()}


def served() -> dict[str, Any]:
    """Every method and route of the URL resolver that belongs to the interface, with its view."""
    from django.urls import get_resolver

    found = {}
    for pattern, callback in _walk(get_resolver().url_patterns, ""):
        for route in _routes_of(pattern):
            for method in _methods(callback):
                found[f"{method} {route}"] = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    return found


def _walk(patterns: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        text = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from _walk(pattern.url_patterns, text)
        else:
            yield text, pattern.callback


def _routes_of(pattern: str) -> list[str]:
    """The names of a pattern in the table; empty for pages."""
    if pattern.startswith(_OPTIONAL_PREFIX):
        path = "/" + _plain(pattern.removeprefix(_OPTIONAL_PREFIX))
        return [path, f"root:{path}"]
    if pattern.startswith(_API):
        return ["/" + _plain(pattern.removeprefix(_API))]
    return []


def _plain(pattern: str) -> str:
    path = pattern.removesuffix("$").removesuffix("/?")
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: ":" + _camel(match[1]), path)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _methods(callback: Any) -> list[str]:
    view = getattr(callback, "view_class", None) or getattr(callback, "cls", None)
    if view is None:
        return ["GET"]
    names = (name for name in view.http_method_names if name not in ("options", "head", "trace"))
    return [name.upper() for name in names if hasattr(view, name)]
