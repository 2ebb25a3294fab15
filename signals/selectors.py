"""Reads of signals, of the verdicts on them, and of what became of those."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from nexgent import rows
from nexgent.errors import NotFound
from signals.models import Signal, Verdict
from trading.models import State

SEARCHED = ("token_address", "symbol", "signal_type", "activation_reason", "source", "external_ref")
PENDING, EXECUTED, FAILED, SKIPPED = "PENDING", "EXECUTED", "FAILED", "SKIPPED"

_EXECUTIONS = """
SELECT v.signal_id, v.agent_id, v.reasons, v.at, v.order_id, o.state, o.error_code, o.position_id, o.stages,
    e.id AS transaction_id, s.received_at
FROM signals_verdict v
JOIN signals_signal s ON s.id = v.signal_id
LEFT JOIN trading_order o ON o.id = v.order_id
LEFT JOIN wallets_entry e ON e.order_id = o.id
WHERE v.signal_id = ANY(%(signals)s) AND (%(agent)s::uuid IS NULL OR v.agent_id = %(agent)s::uuid)
ORDER BY v.signal_id DESC, v.agent_id
"""


def signals(
    workspace_id: UUID,
    *,
    token_address: str = "",
    signal_type: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    side: str = "",
    source: str = "",
    external_ref: str = "",
    search: str = "",
) -> QuerySet[Signal]:
    """The workspace's signals, newest first, hidden ones left out; `start` and `end` are inclusive.

    `search` is a part of any of a signal's texts.
    """
    found = Signal.objects.filter(workspace_id=workspace_id, hidden_at=None)
    exact = {"side": side, "source": source, "external_ref": external_ref}
    found = found.filter(**{name: value for name, value in exact.items() if value})
    if search:
        found = found.filter(reduce(or_, (Q(**{f"{name}__icontains": search}) for name in SEARCHED)))
    if token_address:
        found = found.filter(token_address=token_address)
    if signal_type:
        found = found.filter(signal_type=signal_type)
    if start is not None:
        found = found.filter(created_at__gte=start)
    if end is not None:
        found = found.filter(created_at__lte=end)
    return found.order_by("-id")


def signal(workspace_id: UUID, signal_id: int) -> Signal:
    """One signal of the workspace. Raises NotFound (hidden and foreign ones too)."""
    found = signals(workspace_id).filter(id=signal_id).first()
    if found is None:
        raise NotFound("signal")
    return found


def verdicts(signal_id: int) -> QuerySet[Verdict]:
    """The verdicts on a signal, in the order of agent ids."""
    return Verdict.objects.filter(signal_id=signal_id).order_by("agent_id")


def executions(signal_ids: Sequence[int], *, agent_id: UUID | None = None) -> list[dict[str, Any]]:
    """What each agent, or one, made of the signals, with the order, position and ledger entry it led to; one query.

    `status` is SKIPPED (no order; `reasons` say why), PENDING, EXECUTED or FAILED (the order's error is a reason).
    """
    with connection.cursor() as cursor:
        cursor.execute(_EXECUTIONS, {"signals": list(signal_ids), "agent": agent_id})
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [_execution(row) for row in rows]


def token_symbol(mint: str) -> str | None:
    """The stored symbol of a token ("" when it has none yet); None when the token is unknown."""
    with rows.execute("SELECT symbol FROM prices_token WHERE mint = %s", [mint]) as cursor:
        row = cursor.fetchone()
    return None if row is None else row[0]


def _execution(row: dict[str, Any]) -> dict[str, Any]:
    state, error = row.pop("state"), row.pop("error_code")
    row["reasons"] = [*_json(row["reasons"]), *([error.lower()] if error else [])]
    given = {"received": row.pop("received_at").isoformat(), "verdict": row["at"].isoformat()}
    row["stages"] = given | (_json(row["stages"]) or {})
    row["status"] = _status(state)
    return row


def _status(state: int | None) -> str:
    if state is None:
        return SKIPPED
    if state == State.FILLED:
        return EXECUTED
    return FAILED if state in (State.FAILED, State.CANCELLED) else PENDING


def _json(value: Any) -> Any:
    """A jsonb column of a plain cursor, which Django leaves as text."""
    return json.loads(value) if isinstance(value, str) else value
