"""An entry of the audit trail as it goes out: names, times and routes of the API instead of those of the database.

The trail keeps columns as they are, so that no later change of a name rewrites history; they are translated here. What
is hidden is said to have changed, never what it held; of a webhook's address only scheme and host are told, since paths
hold secrets too.
"""

import re
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

from pydantic.alias_generators import to_camel

from nexgent.accounts.models import AuditEntry
from nexgent.api.wire import stamp

HIDDEN = "[hidden]"
_NAMES = {
    "entries_simulation": "automatedTradingSimulation",
    "entries_live": "automatedTradingLive",
    "exits_simulation": "exitsEnabledSimulation",
    "exits_live": "exitsEnabledLive",
    "key_hash": "key",
    "previous_hash": "previousKey",
    "path_hash": "path",
    "secret_hash": "secret",
}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d")
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def audit_wire(entry: AuditEntry) -> dict[str, Any]:
    before, after = facts_wire(entry.before), facts_wire(entry.after)
    if before is None or after is None:  # made or deleted: nothing changed that could not be shown
        before, after = _shown(before), _shown(after)
    return {
        "id": entry.id,
        "at": stamp(entry.at),
        "kind": entry.kind,
        "objectId": entry.object_id,
        "agentId": entry.agent_id,
        "action": entry.action,
        "actor": {"kind": entry.actor_kind, "id": entry.actor_id, "name": entry.actor},
        "source": {
            "address": entry.address,
            "client": entry.client,
            "requestId": entry.request_id,
            "route": route_wire(entry.route),
        },
        "before": before,
        "after": after,
        "changes": [
            {"path": path, "before": was, "after": becomes}
            for path, was, becomes in sorted([*changes(before, after), *_unshown(entry)], key=itemgetter(0))
        ],
    }


def facts_wire(columns: dict[str, Any] | None) -> dict[str, Any] | None:
    """The columns of a row under their wire names; what is JSON in the row (a configuration) stays as it is."""
    if columns is None:
        return None
    return {_NAMES.get(name) or to_camel(name): _value(name, value) for name, value in columns.items()}


def route_wire(route: str) -> str:
    """`DELETE /api/v1/api-keys/:keyId` of what the router calls `<str:key_id>`."""
    return _PARAMETER.sub(lambda found: f":{to_camel(found[1])}", route)


def changes(before: Any, after: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Where two values differ: the path of each leaf, what was there and what is now (None for nothing)."""
    if isinstance(before, dict) or isinstance(after, dict):
        was = before if isinstance(before, dict) else {}
        becomes = after if isinstance(after, dict) else {}
        return [
            change
            for name in sorted({*was, *becomes})
            for change in changes(was.get(name), becomes.get(name), f"{path}.{name}" if path else name)
        ]
    return [] if before == after else [(path, before, after)]


def _unshown(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """What changed and cannot be told apart: a change is stored as the columns that differ, hidden or not."""
    was, becomes = facts_wire(entry.before), facts_wire(entry.after)
    if entry.action != "changed" or was is None or becomes is None:
        return []
    return [(name, HIDDEN, HIDDEN) for name in was.keys() & becomes.keys() if was[name] == becomes[name]]


def _shown(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    return facts and {name: value for name, value in facts.items() if value != HIDDEN}


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name == "url":
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    if name.endswith(("_at", "_until")) and _TIME.fullmatch(value):
        return stamp(datetime.fromisoformat(value).astimezone(UTC))
    return value
