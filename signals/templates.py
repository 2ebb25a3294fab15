"""Signals out of other people's messages: a template names each field of the signal and where in the message it stands.

    {"tokenAddress": "{{ticker}}", "signalType": "TradingView {{interval}}", "signalStrength": 4,
     "side": {"from": "{{strategy.order.action}}", "map": {"buy": "buy", "sell": "sell"}, "default": "buy"}}

A text that is one place takes the value as it is; places within a text are put in as text. A message is data: nothing
in it is looked up in turn.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nexgent.errors import InvalidInput

FIELDS = frozenset(
    {"tokenAddress", "signalType", "signalStrength", "symbol", "activationReason", "source", "side", "externalRef"}
    | {"dryRun"}
)
TEXT_LENGTH_MAX = 1000
ENTRIES_MAX = 50
_PLACE = re.compile(r"\{\{\s*([\w.\-]{1,200})\s*\}\}")
_DIGITS_MAX = 20
_ABSENT = object()
_NUMBERS = frozenset({"signalStrength"})
_FLAGS = {"true": True, "false": False}


def problems_of(template: Any) -> dict[str, str]:
    """What is wrong with a template, by field; nothing when it can be used."""
    if not isinstance(template, Mapping):
        return {"template": "must be an object"}
    found = {}
    for name, rule in template.items():
        if name not in FIELDS:
            found[f"template.{name}"] = f"is no field of a signal: {', '.join(sorted(FIELDS))}"
        elif not _is_rule(rule):
            found[f"template.{name}"] = 'must be a text, a whole number, true, false, or {"from", "map", "default"}'
    return found


def _is_rule(rule: Any) -> bool:
    if not isinstance(rule, Mapping):
        return _is_plain(rule)
    table = rule.get("map", {})
    return (
        set(rule) <= {"from", "map", "default"}
        and isinstance(rule.get("from"), str)
        and _is_plain(rule["from"])
        and isinstance(table, Mapping)
        and len(table) <= ENTRIES_MAX
        and all(isinstance(key, str) and _is_plain(value) for key, value in table.items())
        and _is_plain(rule.get("default", ""))
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, bool | int) or (isinstance(value, str) and len(value) <= TEXT_LENGTH_MAX)


def signal_of(template: Mapping[str, Any], message: Any) -> dict[str, Any]:
    """The body of a signal, in wire names, for the checks that every signal passes.

    Raises `InvalidInput` when the message is no object or lacks a place that has no default.
    """
    if not isinstance(message, Mapping):
        raise InvalidInput({"": "The message must be a JSON object"})
    if not template:
        return dict(message)
    body, missing = {}, {}
    for name, rule in template.items():
        value = _value(rule, message)
        if value is _ABSENT:
            missing[name] = "The message has nothing at this field's place"
        else:
            body[name] = _typed(name, value)
    if missing:
        raise InvalidInput(missing)
    return body


def _value(rule: Any, message: Mapping[str, Any]) -> Any:
    if isinstance(rule, str):
        return _filled(rule, message)
    if not isinstance(rule, Mapping):
        return rule
    value = _filled(rule["from"], message)
    table: Mapping[str, Any] = rule.get("map", {})
    if table and value is not _ABSENT:
        value = table.get(_as_text(value), _ABSENT)
    return rule.get("default", _ABSENT) if value is _ABSENT else value


def _filled(text: str, message: Mapping[str, Any]) -> Any:
    whole = _PLACE.fullmatch(text.strip())
    if whole is not None:
        return _at(whole[1], message)
    values = [_at(place, message) for place in _PLACE.findall(text)]
    if any(value is _ABSENT for value in values):
        return _ABSENT
    texts = iter(values)
    return _PLACE.sub(lambda _: _as_text(next(texts)), text)


def _at(place: str, message: Any) -> Any:
    """What stands at `a.b.0` of the message; absent too when it is null."""
    for part in place.split("."):
        if isinstance(message, Mapping) and part in message:
            message = message[part]
        elif isinstance(message, list) and part.isascii() and part.isdigit() and int(part) < len(message):
            message = message[int(part)]
        else:
            return _ABSENT
    return _ABSENT if message is None else message


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _typed(name: str, value: Any) -> Any:
    """Alerts are written by hand: a number or a flag may come as text, a text as a number."""
    if name in _NUMBERS:
        is_whole = isinstance(value, str) and len(value) <= _DIGITS_MAX and value.isascii() and value.strip().isdigit()
        return int(value) if is_whole else value
    if name == "dryRun":
        return _FLAGS.get(value, value) if isinstance(value, str) else value
    return _as_text(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
