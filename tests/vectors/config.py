"""Vector families of the trading configuration: validation, and merging with defaults and updates."""

import copy
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pydantic.alias_generators import to_camel, to_snake

from agents import config
from agents.config.defaults import DEFAULTS

MARKERS = {"__infinity__": Decimal("Infinity"), "__nan__": Decimal("NaN")}
OURS = {"limits", "protections", "token_gate", "allowed_sources", "follow_sell"}
"""Keys that the reference does not have; they do not count unless the vector itself names them."""


def wire_name(name: str) -> str:
    return "maxDCACount" if name == "max_dca_count" else to_camel(name)


def vector_name(name: str) -> str:
    return "max_dca_count" if name == "maxDCACount" else to_snake(name)


def to_wire(value: Any) -> Any:
    """A vector's configuration in wire names, with the markers for non-finite numbers replaced."""
    if isinstance(value, dict):
        return {wire_name(name): to_wire(item) for name, item in value.items()}
    if isinstance(value, list):
        return [to_wire(item) for item in value]
    return MARKERS.get(value, value) if isinstance(value, str) else value


def from_wire(value: Any) -> Any:
    if isinstance(value, dict):
        return {vector_name(name): from_wire(item) for name, item in value.items() if vector_name(name) not in OURS}
    if isinstance(value, list):
        return [from_wire(item) for item in value]
    return value


def validate_trading_config(vector: dict[str, Any]) -> dict[str, Any]:
    given = vector["input"]
    if given["base"] == "literal":
        data = to_wire(given["literal"])
    else:
        data = copy.deepcopy(dict(DEFAULTS))
        for path, value in given["changes"].items():
            _put(data, [wire_name(part) for part in path.split(".")], value)
    paths = {_vector_path(problem.path) for problem in config.validate(data)}
    return {"valid": not paths, "error_field_paths": sorted(paths)}


def config_merge(vector: dict[str, Any]) -> dict[str, Any]:
    given = vector["input"]
    if given["function"] == "merge_with_defaults":
        merged = config.with_defaults(to_wire(given["stored_config"]))
    else:
        existing = config.merge(DEFAULTS, to_wire(given["existing_config_overrides_on_default"]))
        merged = config.merge(existing, to_wire(given["update"]))
    return {"merged": from_wire(merged), "valid": not config.validate(merged)}


def _put(data: dict[str, Any], path: list[str], value: Any) -> None:
    *parents, last = path
    for name in parents:
        data = data[name]
    if value in ("__absent__", "__undefined__"):
        data.pop(last, None)
    else:
        data[last] = to_wire(value)


def _vector_path(path: str) -> str:
    if path == "(root)":
        return path
    return ".".join(part if re.fullmatch(r"\d+", part) else vector_name(part) for part in path.split("."))


FAMILIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "config_validation": validate_trading_config,
    "config_merge": config_merge,
}
