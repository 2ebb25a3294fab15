"""An example of a value for a JSON schema of our own: for the page, the client collection and links to try."""

from typing import Any

_BY_FORMAT = {
    "uuid": "0190a6a0-0000-7000-8000-000000000001",
    "date-time": "2026-05-01T12:00:00.000Z",
    "solana-address": "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263",
}
_BY_TYPE = {"integer": 1, "number": 1.5, "boolean": True, "string": "text", "null": None}
DEPTH_MAX = 6


def resolved(schema: Any, components: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, its reference followed."""
    while isinstance(schema, dict) and "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    return schema if isinstance(schema, dict) else {}


def sample(schema: Any, components: dict[str, Any], depth: int = 0) -> Any:
    """A value that the schema allows, as far as a form goes: examples first, then defaults, then something plain."""
    schema = resolved(schema, components)
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    for name in ("example", "const", "default"):
        if name in schema:
            return schema[name]
    for branch in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        return sample(branch, components, depth)
    if schema.get("type") == "array":
        return [] if depth > DEPTH_MAX else [sample(schema.get("items", {}), components, depth + 1)]
    if schema.get("type") == "object" or "properties" in schema:
        if depth > DEPTH_MAX:
            return {}
        return {name: sample(inner, components, depth + 1) for name, inner in schema.get("properties", {}).items()}
    if "format" in schema:
        return _BY_FORMAT.get(schema["format"], "text")
    if "minimum" in schema:
        return schema["minimum"]
    return _BY_TYPE.get(schema.get("type", ""))


def body_sample(content: dict[str, Any], components: dict[str, Any]) -> Any:
    """The example of a body: the one that was given, else what is required of it."""
    if "example" in content:
        return content["example"]
    schema = resolved(content.get("schema", {}), components)
    wanted = schema.get("required", ())
    return {name: sample(inner, components) for name, inner in schema.get("properties", {}).items() if name in wanted}
