"""Use cases of trading: buy by hand, close, close all, pin stop and ladder, write off, lift a protection."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.models import F

from agents import policy as agent_policy
from agents import selectors as agents
from nexgent import clock, money
from nexgent.errors import NotFound, Refusal
from nexgent.events import alarms
from nexgent.events import services as events
from nexgent.ids import key_uuid
from prices import services as prices
from trading import live
from trading.engine import booking, entries, locks, market, positions, sales
from trading.models import Order, Position, ProtectionLock, Purpose, State
from trading.rules import apply as rules
from trading.rules.position import Sold, StopPinned
from wallets import services as wallets
from wallets.models import AccountKind, EntryKind, Wallet

POLL_SECONDS = 0.02


def manual_key(principal: str, idempotency_key: str | None) -> str:
    """The text key of a person's order: the same key of the same principal in its workspace is the same order."""
    return f"manual:{principal}:{idempotency_key or uuid4()}"


def manual_buy(
    *,
    agent_id: UUID,
    mint: str,
    principal: str,
    wallet_id: UUID | None = None,
    symbol: str = "",
    lamports: int | None = None,
    idempotency_key: str | None = None,
    signal_id: int | None = None,
) -> UUID:
    """Buy for an agent as an entry does; returns the order. Raises the Refusal that kept it from one."""
    key = manual_key(principal, idempotency_key)
    if (done := _order_of(key)) is not None:
        return done
    prices.ensure_token(mint, symbol)
    now = clock.now()
    trigger = entries.Trigger(
        mint=mint,
        signal_id=signal_id,
        received_at=now,
        verdict_at=now,
        requested_lamports=lamports,
        wallet_id=wallet_id,
        key_text=key,
    )
    outcomes = entries.enter(trigger, [agent_id], market.ask(mint, now=now))
    if not outcomes:
        raise NotFound("agent")
    outcome = outcomes[0]
    if outcome.refusal is not None:
        if (done := _order_of(key)) is not None:  # the same request, sent twice at once
            return done
        raise outcome.refusal
    assert outcome.order_id is not None
    return outcome.order_id


def _order_of(key: str) -> UUID | None:
    return Order.objects.filter(key=key_uuid(key)).values_list("id", flat=True).first()


def position_close(
    *,
    position_id: UUID,
    principal: str,
    percent: Decimal | None = None,
    units: int | None = None,
    reason: str = "manual",
    idempotency_key: str | None = None,
) -> UUID:
    """Sell a position, or a part of it, because a person says so; returns the order."""
    return sales.sell(
        position_id=position_id,
        wanted=sales.Wanted(percent, units),
        purpose=Purpose.MANUAL,
        key_text=manual_key(principal, idempotency_key),
        reason=reason,
    )


def close_all(*, agent_ids: Sequence[UUID], principal: str) -> dict[UUID, UUID | Refusal]:
    """Close every open position of these agents; per position its order, or why there is none."""
    answers: dict[UUID, UUID | Refusal] = {}
    for position_id in Position.objects.filter(agent_id__in=agent_ids, closed_at=None).values_list("id", flat=True):
        try:
            answers[position_id] = position_close(position_id=position_id, principal=principal)
        except Refusal as refusal:
            answers[position_id] = refusal
    return answers


def wait_final(order_id: UUID, timeout_s: float) -> Order:
    """The order once it is final, or as it stands when the time is up. Give the connection back between looks."""
    end = time.monotonic() + timeout_s
    pause = POLL_SECONDS
    while True:
        order = Order.objects.get(id=order_id)
        if order.state >= State.FILLED or time.monotonic() >= end:
            return order
        connection.close()
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


@locks.unit_of_work
@transaction.atomic
def position_override(
    *, position_id: UUID, override: Mapping[str, Any] | None, stop_percent: Decimal | None = None
) -> Position:
    """Pin stop and ladder rules for one position (None takes them off), validated like a configuration.

    `stop_percent` sets the stop level itself, which then stands still: a new generation begins, so that no late save
    undoes it. Raises NotFound, InvalidConfig, Refusal INVALID_STOP.
    """
    position = _locked_position(position_id)
    state = positions.state_of(position)
    now = clock.now()
    position.override = dict(override) if override else None
    if position.override:
        agent_policy.check_override(agents.policy(position.config_id), position.override)
    after = state
    if stop_percent is not None:
        if not stop_percent.is_finite() or stop_percent <= -100:
            raise Refusal("INVALID_STOP", "The stop must be above -100 %.")
        after = rules.apply(state, StopPinned(stop_percent, state.peak))
        position.override = {**(position.override or {}), positions.PINNED: money.text(stop_percent)}
    positions.take(position, after, at=now)
    position.save()
    if stop_percent is not None:
        positions.save_watermark(position.id, after, at=now)
    booking.publish_changed(position.id)
    known = live.seen(position.token_id, now=now)
    events.append([live.position_event(position, after, kind="position_updated", at=now, known=known)])
    return position


@locks.unit_of_work
@transaction.atomic
def apply_to_open_positions(*, agent_id: UUID, config_id: UUID) -> int:
    """Have an agent's open positions pin a configuration version of its own; returns how many changed.

    A position pins the version it was opened with, so this is asked for, never assumed.
    """
    wanted = Position.objects.filter(agent_id=agent_id, closed_at=None).exclude(config_id=config_id)
    changed = locks.positions(wanted.values_list("id", flat=True))
    now = clock.now()
    Position.objects.filter(id__in=changed).update(config_id=config_id, version=F("version") + 1, updated_at=now)
    for position_id in changed:
        booking.publish_changed(position_id)
    return len(changed)


def _locked_position(position_id: UUID) -> Position:
    wallet_id = Position.objects.filter(id=position_id).values_list("wallet_id", flat=True).first()
    if wallet_id is None:
        raise NotFound("position")
    locks.wallet(wallet_id)
    locks.positions([position_id])
    position = Position.objects.select_related("watermark", "agent", "wallet").get(id=position_id)
    if position.closed_at is not None:
        raise NotFound("position")
    return position


@locks.unit_of_work
@transaction.atomic
def write_off(*, position_id: UUID, reason: str, author: str) -> Position:
    """Give up an untradable position: a BURN entry and a loss, in the books, the history and P/L (D-11).

    Raises Refusal NOT_UNTRADABLE unless two sources agreed that it cannot be traded, SALE_IN_PROGRESS or
    ORDER_IN_PROGRESS while an order is on its way; a retry that waits for its time gives way.
    """
    position = _locked_position(position_id)
    if position.untradable_at is None:
        raise Refusal("NOT_UNTRADABLE", "Only a position that cannot be traded is written off.")
    if not reason.strip():
        raise Refusal("REASON_REQUIRED", "Say why the position is written off.")
    now = clock.now()
    sales.make_way(position_id, at=now)
    if booking.has_submitted_buy(position_id):
        raise Refusal("ORDER_IN_PROGRESS", "A buy of this position is on its way.")
    booking.cancel_open_buys(position_id, at=now, code="POSITION_CLOSING")
    state = positions.state_of(position)
    after = rules.apply(state, Sold(units=state.remaining_units, lamports=0, at=now))
    after = replace(after, rent_lamports=0)
    epoch = Wallet.objects.values_list("epoch", flat=True).get(id=position.wallet_id)
    wallets.post(
        [
            wallets.Draft(
                wallet_id=position.wallet_id,
                kind=EntryKind.BURN,
                at=now,
                lines=(
                    wallets.Line(position.token_id, AccountKind.OWN, -state.remaining_units),
                    wallets.Line(position.token_id, AccountKind.BURNED, state.remaining_units),
                    *booking.rent_return(state.rent_lamports),
                ),
                epoch=epoch,
                reason=reason,
                author=author,
            )
        ]
    )
    positions.take(position, after, at=now)
    position.closed_at, position.close_reason = now, "write_off"
    position.save()
    alarms.clear("EXIT_FAILING", subject=str(position.id), at=now)
    booking.publish_changed(position.id)
    events.append([live.position_event(position, after, kind="position_updated", at=now, known=None)])
    return position


def protection_lift(*, lock_id: UUID, author: str) -> ProtectionLock:
    """End a protection's pause before its time; the same cause does not call it again."""
    with transaction.atomic():
        lock = ProtectionLock.objects.select_for_update(no_key=True).filter(id=lock_id).first()
        if lock is None:
            raise NotFound("protection")
        if lock.lifted_at is None:
            lock.lifted_at, lock.lifted_by = clock.now(), author
            lock.save(update_fields=["lifted_at", "lifted_by"])
        return lock
