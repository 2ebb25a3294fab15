"""Use cases of signals: accept, revise, hide.

A signal is accepted in one transaction with its event and its place in the duplicate rule; the row itself is the queue,
the bell after the commit only says that it is there.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from nexgent import clock, rows
from nexgent.errors import NotFound, Refusal
from nexgent.events import bell
from nexgent.events import services as events
from nexgent.ids import key_uuid
from prices import services as prices
from signals import live, request, selectors
from signals.models import DuplicateGuard, Side, Signal, SignalRevision
from signals.request import SignalRequest
from trading.engine import locks

DUPLICATE_WINDOW = timedelta(seconds=60)
DRAIN = "signals.drain"
"""The task that beat rings each second."""
WAITING = "nexgent:signals"
"""Channel that says that a signal waits: every entries process listens (`signals.processes`), and the broker's detour
through a queue and a task costs twice as long as the whole way.
"""

# The guard row decides and the signal follows in the same statement: a second signal of the same key waits for the
# first one's commit and then sees its time, so that of any number of equal ones a single one is accepted.
_ACCEPT = """
WITH guard AS (
    INSERT INTO signals_duplicateguard AS g (key, signal_id, at)
    VALUES (%(key)s, nextval(pg_get_serial_sequence('signals_signal', 'id')), %(received_at)s)
    ON CONFLICT (key) DO UPDATE SET signal_id = excluded.signal_id, at = excluded.at
        WHERE g.at <= %(expired)s
    RETURNING signal_id
)
INSERT INTO signals_signal (id, workspace_id, user_id, api_key_id, token_address, symbol, signal_type, signal_strength,
    side, activation_reason, source, external_ref, dry_run, revision, received_at, created_at, updated_at)
SELECT signal_id, %(workspace_id)s, %(user_id)s, %(api_key_id)s::uuid, %(token_address)s, %(symbol)s, %(signal_type)s,
    %(signal_strength)s, %(side)s, %(activation_reason)s, %(source)s, %(external_ref)s, %(dry_run)s, 1,
    %(received_at)s, %(now)s, %(now)s
FROM guard RETURNING id
"""


@locks.unit_of_work  # who waits too long for the commit of an equal signal, or of its token, asks again
def accept(
    *,
    workspace_id: UUID,
    user_id: UUID,
    data: Any,
    received_at: datetime,
    api_key_id: UUID | None = None,
) -> Signal:
    """Store a signal and ring for its verdicts. `data` is the body in wire names.

    Raises InvalidInput, Refusal SIDE_REQUIRED, and Refusal SIGNAL_DUPLICATE when the same user sent the same token,
    type and strength less than 60 s before `received_at`. Neither a refused nor a failed request counts for that rule.
    Raises OperationalError (the API's 503) when an equal signal is still being stored after three waits for its lock.
    """
    wanted = request.read(data)
    _ensure_token(wanted)
    now = clock.now()
    signal = Signal(
        workspace_id=workspace_id,
        user_id=user_id,
        api_key_id=api_key_id,
        received_at=received_at,
        created_at=now,
        updated_at=now,
        **asdict(wanted),
    )
    with rows.pipeline(), transaction.atomic():  # two round trips: begin and insert, event and commit
        key = _duplicate_key(user_id, wanted)
        signal.id = _insert(signal, key)
        bell.publish(WAITING, b"")
        _tell(signal, "signal_created", live.signal_wire(signal))
    signal._state.adding = False
    return signal


def signal_revise(*, workspace_id: UUID, signal_id: int, data: Any) -> Signal:
    """Change a signal: `data` is partial, in wire names. The old content is kept, nothing is traded again.

    Raises NotFound, InvalidInput, Refusal SIDE_REQUIRED.
    """
    with transaction.atomic():
        signal = _locked(workspace_id, signal_id)
        before = live.signal_wire(signal)
        wanted = request.read(_revised(before, data))
        now = clock.now()
        SignalRevision.objects.create(signal=signal, number=signal.revision, content=before, replaced_at=now)
        changed = asdict(wanted)
        for name, value in changed.items():
            setattr(signal, name, value)
        signal.revision += 1
        signal.updated_at = now
        signal.save(update_fields=[*changed, "revision", "updated_at"])
        _tell(signal, "signal_updated", live.signal_wire(signal))
    _ensure_token(wanted)
    return signal


def signal_hide(*, workspace_id: UUID, signal_id: int) -> None:
    """Take a signal out of all lists; its verdicts and orders keep it. Raises NotFound."""
    with transaction.atomic():
        signal = _locked(workspace_id, signal_id)
        signal.hidden_at = signal.updated_at = clock.now()
        signal.save(update_fields=["hidden_at", "updated_at"])
        _tell(signal, "signal_deleted", {"id": signal.id})


def _ensure_token(wanted: SignalRequest) -> None:
    """The token's row, before the transaction: a token without a signal harms nobody."""
    symbol = selectors.token_symbol(wanted.token_address)
    if symbol is None or (wanted.symbol and not symbol):
        prices.ensure_token(wanted.token_address, wanted.symbol)


def _duplicate_key(user_id: UUID, wanted: SignalRequest) -> UUID:
    """Equal are: user, token, type, strength. A sell never counts as a buy's double, nor a dry run as a real one's."""
    parts = [str(user_id), wanted.token_address, wanted.signal_type, str(wanted.signal_strength)]
    if wanted.side == Side.SELL:
        parts.append("sell")
    if wanted.dry_run:
        parts.append("dry run")
    return key_uuid("signal\n" + "\n".join(parts))


def _insert(signal: Signal, key: UUID) -> int:
    expired = signal.received_at - DUPLICATE_WINDOW
    values = {field.attname: getattr(signal, field.attname) for field in Signal._meta.concrete_fields}
    parameters = {**values, "key": key, "expired": expired, "now": signal.created_at}
    with rows.execute(_ACCEPT, parameters) as cursor:
        row = cursor.fetchone()
    if row is None:
        first = DuplicateGuard.objects.filter(key=key).values_list("signal_id", flat=True).first()
        raise Refusal(
            "SIGNAL_DUPLICATE",
            "The same signal was accepted less than 60 seconds ago.",
            details={"signalId": first},
        )
    return int(row[0])


def _locked(workspace_id: UUID, signal_id: int) -> Signal:
    signal = (
        Signal.objects.select_for_update(no_key=True)
        .filter(id=signal_id, workspace_id=workspace_id, hidden_at=None)
        .first()
    )
    if signal is None:
        raise NotFound("signal")
    return signal


def _revised(before: Mapping[str, Any], data: Any) -> Any:
    """The body that the change amounts to; a type that changes must bring its side along, as on creation."""
    if not isinstance(data, Mapping):
        return data
    known = dict(before)
    if data.get("signalType", known["signalType"]) != known["signalType"] and known["side"] == Side.BUY:
        del known["side"]
    return {**known, **data}


def _tell(signal: Signal, kind: str, payload: dict[str, Any]) -> None:
    """The event on the workspace's stream, as the last write of the transaction."""
    events.append([events.NewEvent(signal.workspace_id, kind, payload, signal.updated_at)])
