"""What could not be answered for an unexpected reason: told by an alarm, which ends when it is answered after all.

A signal that cannot be answered waits and is tried again. An agent that cannot be asked on its own, when nothing passes
by itself about the problem, gets a verdict that says so, so that it holds up neither the signal nor the others.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.db import Error, connection

from agents import selectors as agents
from nexgent import clock
from nexgent.events import alarms
from signals import verdicts
from signals.models import Signal
from trading.models import Purpose

log = logging.getLogger(__name__)
INTERNAL_ERROR = "internal_error"
OLDER_BUY_WAITED = timedelta(seconds=30)
"""A sell waits for no buy that came longer ago."""

CONFIG, ENTRY, SALE = "config", "entry", "sale"
"""At what an agent was set apart: what must succeed before its alarm ends."""

# Ended: the signal is answered or hidden; the agent is archived, or entered or answered a sell since, as it could not.
_ENDED = """
SELECT a.code, a.subject FROM events_alarm a JOIN signals_signal s ON s.id = a.subject::bigint
WHERE a.code = 'SIGNAL_STUCK' AND a.cleared_at IS NULL AND (s.drained_at IS NOT NULL OR s.hidden_at IS NOT NULL)
UNION ALL
SELECT a.code, a.subject FROM events_alarm a JOIN agents_agent g ON g.id = a.subject::uuid
WHERE a.code = 'AGENT_STUCK' AND a.cleared_at IS NULL AND (g.archived_at IS NOT NULL OR CASE a.detail->>'step'
    WHEN 'sale' THEN EXISTS (
        SELECT 1 FROM signals_verdict v JOIN signals_signal s ON s.id = v.signal_id
        WHERE v.agent_id = g.id AND v.at > a.since AND s.side = 'sell')
    ELSE EXISTS (
        SELECT 1 FROM trading_order o WHERE o.agent_id = g.id AND o.purpose = %s AND o.created_at > a.since) END)
"""
_UNREADABLE = """
SELECT g.id, g.config_id FROM events_alarm a JOIN agents_agent g ON g.id = a.subject::uuid
WHERE a.code = 'AGENT_STUCK' AND a.cleared_at IS NULL AND a.detail->>'step' = 'config'
"""
_OLDER_BUY = """
SELECT EXISTS (
    SELECT 1 FROM signals_signal s
    WHERE s.drained_at IS NULL AND s.hidden_at IS NULL AND s.id < %s AND s.workspace_id = %s
      AND s.token_address = %s AND s.side = 'buy' AND s.received_at > %s AND NOT EXISTS (
        SELECT 1 FROM events_alarm a
        WHERE a.code = 'SIGNAL_STUCK' AND a.subject = s.id::text AND a.cleared_at IS NULL))
"""


def tell_signal(signal: Signal, problem: Exception) -> None:
    """Log and alarm that a signal was not answered; its lease expires and it is tried again."""
    log.error("signal not answered", extra={"signal_id": signal.id}, exc_info=problem)
    detail = {"problem": type(problem).__name__}
    alarms.raise_alarm(
        "SIGNAL_STUCK", subject=str(signal.id), detail=detail, workspace_id=signal.workspace_id, at=clock.now()
    )


def tell_agent(agent_id: UUID, workspace_id: UUID, problem: Exception, *, step: str) -> None:
    """Log and alarm that an agent cannot be asked (`CONFIG`, `ENTRY` or `SALE`); the others go on."""
    log.error("agent set apart", extra={"agent_id": str(agent_id)}, exc_info=problem)
    detail = {"problem": type(problem).__name__, "step": step}
    alarms.raise_alarm(
        "AGENT_STUCK",
        subject=str(agent_id),
        detail=detail,
        workspace_id=workspace_id,
        agent_id=agent_id,
        at=clock.now(),
    )


def set_apart(signal: Signal, agent_id: UUID, problem: Exception) -> None:
    """Give an agent the verdict that it could not be asked, unless it has one; told by an alarm."""
    tell_agent(agent_id, signal.workspace_id, problem, step=ENTRY)
    verdicts.write_skips([(signal.id, {agent_id: (INTERNAL_ERROR,)})], at=clock.now())


def clear_ended(*, at: datetime) -> None:
    """End the alarms of signals that were answered, and of agents that succeeded since in what they could not, or whose
    configuration can be read again.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ENDED, [Purpose.ENTRY])
        ended = cursor.fetchall()
        cursor.execute(_UNREADABLE)
        unreadable = cursor.fetchall()
    for code, subject in ended:
        if code == "SIGNAL_STUCK":
            alarms.clear("SIGNAL_STUCK", subject=subject, at=at)
        else:
            alarms.clear("AGENT_STUCK", subject=subject, at=at)
    for agent_id, config_id in unreadable:
        if _is_readable(config_id):
            alarms.clear("AGENT_STUCK", subject=str(agent_id), at=at)


def _is_readable(config_id: UUID | None) -> bool:
    try:
        agents.policies([config_id] if config_id else [])
    except Error:
        raise  # the database is away: nothing is known of the configuration
    except Exception:  # told when it was found; the alarm stays
        return False
    return True


def has_older_buy(signal: Signal) -> bool:
    """Whether a buy of the same token from just before the signal still waits for its answer and is not stuck."""
    since = clock.now() - OLDER_BUY_WAITED
    with connection.cursor() as cursor:
        cursor.execute(_OLDER_BUY, [signal.id, signal.workspace_id, signal.token_address, since])
        return bool(cursor.fetchone()[0])
