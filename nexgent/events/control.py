"""Rare messages to the sockets of all web processes. A lost one heals: credentials are asked again each minute."""

from uuid import UUID

import orjson

from nexgent.events import bell
from nexgent.events.channels import CONTROL


def revoke(key: str) -> None:
    """Close the sockets that one token (its jti) or one session (its key) opened, after the commit."""
    _tell(kind="revoke", key=key)


def sign_out(user_id: UUID) -> None:
    """Close every socket of a user (log-out everywhere, deactivation, password change), after the commit."""
    _tell(kind="sign_out", userId=str(user_id))


def replaced(agent_id: UUID, by: UUID) -> None:
    """Tell that connection `by` is now the agent's token socket; older ones close wherever they are."""
    _tell(kind="replaced", agentId=str(agent_id), by=str(by))


def _tell(**facts: str) -> None:
    bell.publish(CONTROL, orjson.dumps(facts))
