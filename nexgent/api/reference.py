"""The OpenAPI text as a page for people: operations by subject, with parameters, fields, an example and a curl line.

Made on the server from the same document that clients load, so that it needs no foreign script: it runs under a policy
that allows none.
"""

import functools
import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from nexgent.api.document import document
from nexgent.api.samples import body_sample, resolved, sample

DEPTH_MAX = 4


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a table: a parameter, or a field at its depth."""

    name: str
    kind: str
    note: str = ""
    is_required: bool = False
    depth: int = 0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    text: str
    kind: str = ""
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answers: tuple[Answer, ...]
    curl: str
    example: str

    @property
    def parts(self) -> list[str]:
        """The path where its line may end: before a slash, never inside a name."""
        return ["/api/v1", *re.findall("/[^/]+", self.path.removeprefix("/api/v1"))]


@functools.cache
def entries() -> dict[str, list[Entry]]:
    """Operations by tag, in the order of the document."""
    text = document()
    found: dict[str, list[Entry]] = {tag["name"]: [] for tag in text["tags"]}
    for path, methods in text["paths"].items():
        for method, operation in methods.items():
            entry = _entry(method.upper(), path, operation, text["components"]["schemas"])
            found[operation["tags"][0]].append(entry)
    return found


def _entry(method: str, path: str, operation: dict[str, Any], components: dict[str, Any]) -> Entry:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    answers = tuple(_answer(status, answer, components) for status, answer in sorted(operation["responses"].items()))
    return Entry(
        id=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        description=_marked(operation.get("description", "")),
        parameters=tuple(_parameter(one, components) for one in operation.get("parameters", ())),
        body=() if content is None else tuple(fields(content["schema"], components)),
        answers=answers,
        curl=curl(method, path, operation, components),
        example=_example(operation, components),
    )


def _parameter(parameter: dict[str, Any], components: dict[str, Any]) -> Field:
    return Field(
        name=parameter["name"],
        kind=kind_of(parameter["schema"], components),
        note=_marked(parameter.get("description", "")),
        is_required=parameter.get("required", False),
        place=parameter["in"],
    )


def _answer(status: str, answer: dict[str, Any], components: dict[str, Any]) -> Answer:
    content = next(iter(answer.get("content", {}).items()), None)
    if content is None or int(status) >= 400:
        return Answer(status, _marked(answer["description"]))
    schema = content[1]["schema"]
    return Answer(
        status, _marked(answer["description"]), kind_of(schema, components), tuple(fields(schema, components))
    )


def _marked(text: str) -> SafeString:
    """Text as HTML: escaped, what stands in backquotes as code."""
    return mark_safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))  # noqa: S308 - escaped just now


def _example(operation: dict[str, Any], components: dict[str, Any]) -> str:
    """The first good answer, as JSON."""
    for status, answer in sorted(operation["responses"].items()):
        content = answer.get("content", {}).get("application/json")
        if int(status) < 300 and content is not None:
            value = content["example"] if "example" in content else sample(content["schema"], components)
            return json.dumps(value, indent=2, ensure_ascii=False)
    return ""


def curl(method: str, path: str, operation: dict[str, Any], components: dict[str, Any]) -> str:
    """A line to try it with; ids are shell variables."""
    needed = [one for one in operation.get("parameters", ()) if one["in"] == "query" and one.get("required")]
    query = "&".join(f"{one['name']}={sample(one['schema'], components)}" for one in needed)
    address = "$NEXGENT" + path.removeprefix("/api/v1").replace("{", "$").replace("}", "")
    words = ["curl", "-s", *(() if method == "GET" else ("-X", method)), f'"{address}{"?" + query if query else ""}"']
    if operation["security"]:
        words += ["-H", '"Authorization: Bearer $TOKEN"']
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is not None:
        body = json.dumps(body_sample(content, components), ensure_ascii=False)
        words += ["-H", "'Content-Type: application/json'", "-d", shlex.quote(body)]
    return " ".join(words)


def fields(schema: Any, components: dict[str, Any], depth: int = 0) -> list[Field]:
    """The fields of an object, or of what a list holds, each with its own below it."""
    schema = _object(schema, components)
    found: list[Field] = []
    for name, inner in schema.get("properties", {}).items():
        note = _marked(inner.get("description", "")) if isinstance(inner, dict) else ""
        kind = kind_of(inner, components)
        found.append(Field(name, kind, note, name in schema.get("required", ()), depth))
        if depth < DEPTH_MAX:
            found += fields(inner, components, depth + 1)
    return found


def _object(schema: Any, components: dict[str, Any]) -> dict[str, Any]:
    """The object inside: of a reference, a list, or what may also be null."""
    schema = resolved(schema, components)
    if schema.get("type") == "array":
        return _object(schema.get("items", {}), components)
    for branch in schema.get("anyOf", ()):
        found = _object(branch, components)
        if found.get("properties"):
            return found
    return schema


def kind_of(schema: Any, components: dict[str, Any]) -> str:
    """What a value is, in a few words."""
    if not isinstance(schema, dict):
        return "anything"
    if "$ref" in schema:
        target = resolved(schema, components)
        return kind_of(target, components) if "enum" in target else schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind_of(branch, components) for branch in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}), components)}"
    return _plain_kind(schema)


def _plain_kind(schema: dict[str, Any]) -> str:
    kind = str(schema.get("type", "anything"))
    if kind == "string":
        kind = {"uuid": "UUID", "date-time": "time", "solana-address": "address"}.get(schema.get("format", ""), "text")
        if kind == "text" and "pattern" in schema and "0-9" in schema["pattern"] and "A-Z" not in schema["pattern"]:
            kind = "decimal text"
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if low is not None and high is not None and high < 10**9:
        return f"{kind} {low}–{high}"
    return f"{kind} of at most {schema['maxLength']}" if "maxLength" in schema and kind == "text" else kind
