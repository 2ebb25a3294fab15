"""What a signal, its verdicts and their executions look like on the wire."""

from collections.abc import Mapping
from typing import Any

from nexgent.api import wire
from signals.models import Signal
from trading.api.orders import latencies
from trading.live import stages_wire


def signal_wire(signal: Signal) -> dict[str, Any]:
    """The signal as the API and its events show it; the reference's fields, then ours."""
    return {
        "id": signal.id,
        "createdAt": wire.stamp(signal.created_at),
        "updatedAt": wire.stamp(signal.updated_at),
        "tokenAddress": signal.token_address,
        "symbol": signal.symbol or None,
        "signalType": signal.signal_type,
        "activationReason": signal.activation_reason or None,
        "signalStrength": signal.signal_strength,
        "source": signal.source or None,
        "side": str(signal.side),
        "externalRef": signal.external_ref or None,
        "dryRun": signal.dry_run,
        "revision": signal.revision,
    }


def execution_wire(row: Mapping[str, Any]) -> dict[str, Any]:
    """One agent's part in a signal, from a row of `selectors.executions`."""
    return {
        "agentId": str(row["agent_id"]),
        "status": row["status"],
        "reasons": row["reasons"],
        "orderId": _id(row["order_id"]),
        "transactionId": _id(row["transaction_id"]),
        "positionId": _id(row["position_id"]),
        "latencyMs": latencies(row["stages"]),
        "stages": stages_wire(row["stages"]),
    }


def _id(value: Any) -> str | None:
    return None if value is None else str(value)
