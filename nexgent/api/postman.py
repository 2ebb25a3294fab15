"""The OpenAPI text as a client collection (Postman 2.1): a folder per subject, a request per operation.

The base address, the token and every id of a path are variables, so that the collection works as soon as the first two
are set.
"""

import json
from typing import Any

from nexgent.api.samples import body_sample, sample

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
PREFIX = "/api/v1"


def collection(text: dict[str, Any]) -> dict[str, Any]:
    """The collection of an OpenAPI document."""
    components = text["components"]["schemas"]
    folders: dict[str, list[dict[str, Any]]] = {tag["name"]: [] for tag in text["tags"]}
    ids: set[str] = set()
    for path, methods in text["paths"].items():
        for method, operation in methods.items():
            folders[operation["tags"][0]].append(_request(method.upper(), path, operation, components))
            ids |= {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
    variables = {"baseUrl": "http://127.0.0.1:8000/api/v1", "token": "", **dict.fromkeys(sorted(ids), "")}
    return {
        "info": {"name": text["info"]["title"], "description": text["info"]["description"], "schema": SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [{"key": name, "value": value} for name, value in variables.items()],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def _request(method: str, path: str, operation: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    parameters = operation.get("parameters", ())
    words = [
        "{{" + word[1:-1] + "}}" if word.startswith("{") else word
        for word in path.removeprefix(PREFIX + "/").split("/")
    ]
    query = [_query(one, components) for one in parameters if one["in"] == "query"]
    shown = "&".join(f"{one['key']}={one['value']}" for one in query if not one["disabled"])
    request: dict[str, Any] = {
        "method": method,
        "description": operation.get("description", ""),
        "header": [
            {"key": one["name"], "value": "", "description": one.get("description", ""), "disabled": True}
            for one in parameters
            if one["in"] == "header"
        ],
        "url": {
            "raw": "{{baseUrl}}/" + "/".join(words) + ("?" + shown if shown else ""),
            "host": ["{{baseUrl}}"],
            "path": words,
            "query": query,
        },
    }
    if not operation["security"]:
        request["auth"] = {"type": "noauth"}
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is not None:
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        body = json.dumps(body_sample(content, components), indent=2, ensure_ascii=False)
        request["body"] = {"mode": "raw", "raw": body, "options": {"raw": {"language": "json"}}}
    return {"name": operation["summary"], "id": operation["operationId"], "request": request, "response": []}


def _query(parameter: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    value = sample(parameter["schema"], components)
    return {
        "key": parameter["name"],
        "value": "" if value is None else str(value),
        "description": parameter.get("description", ""),
        "disabled": not parameter.get("required", False),
    }
