"""How a partial configuration meets the one before it, and how null clears.

Objects are merged key by key, lists and scalars replace, null replaces with null: except for the six token bounds,
where it removes the key, and for whole sections, where it restores the defaults.
"""

import copy
from collections.abc import Mapping
from typing import Any

from agents.config.defaults import DEFAULTS

CLEARABLE = ("marketCapMin", "marketCapMax", "liquidityMin", "liquidityMax", "holderCountMin", "holderCountMax")
RETIRED = "continuousTrailing"  # of stopLoss: what it asked for is how every stop works now


def with_defaults(stored: Any) -> dict[str, Any]:
    """A complete configuration from a stored, partial or missing one; what is no object counts as missing.

    An empty stop mode becomes fixed, the retired `stopLoss.continuousTrailing` is dropped.
    """
    merged = merge(DEFAULTS, stored if isinstance(stored, Mapping) else {})
    stop = merged.get("stopLoss")
    if isinstance(stop, dict):
        stop.pop(RETIRED, None)
        if not stop.get("mode"):
            stop["mode"] = DEFAULTS["stopLoss"]["mode"]
    return merged


def merge(stored: Mapping[str, Any], partial: Mapping[str, Any] | None) -> dict[str, Any]:
    """`partial` over `stored`, neither changed; None restores all defaults. The result is not validated."""
    if partial is None:
        return with_defaults(None)
    merged = _deep(stored, partial)
    for name, section in DEFAULTS.items():
        if name in merged and merged[name] is None:
            merged[name] = copy.deepcopy(section)
    signals = merged.get("signals")
    if isinstance(signals, dict):
        for name in CLEARABLE:
            if name in signals and signals[name] is None:
                del signals[name]
    return merged


def _deep(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = {name: copy.deepcopy(value) for name, value in old.items()}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _deep(before, value)
        else:
            merged[name] = copy.deepcopy(value)
    return merged
