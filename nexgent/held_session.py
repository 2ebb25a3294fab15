"""A database session outside the pool, for locks that live as long as it does: the engine role, beat's place.

Such a lock must not outlive its holder's attention. PostgreSQL frees the locks of a killed process at once, but keeps
those of a frozen one until it wakes, and those of a machine cut off the network until TCP gives up, which takes hours.
So the server is told how long the session may be silent, and the holder how long the server may.
"""

from typing import Any

import psycopg
from django.db import connection

SILENCE_SECONDS = 3.0
"""After so long without a word of its holder a session and its locks are gone. A holder speaks several times as often:
on a machine that is overloaded a word may be late."""
PEER = {
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": int(SILENCE_SECONDS * 1000),
}
"""The other side of a cut: a word to a server that cannot be reached fails as soon (TCP only; sockets ignore it)."""


def open_session(*, silence_seconds: float | None = None) -> psycopg.Connection[Any]:
    """A session that nobody else uses. With `silence_seconds` (s) the server ends it, and its locks, after that time
    without a statement. Raises psycopg.OperationalError when the server does not answer.
    """
    parameters = connection.get_connection_params()
    for of_the_pool in ("pool", "cursor_factory", "context"):
        parameters.pop(of_the_pool, None)
    session = psycopg.connect(**{**parameters, **PEER, "options": ""}, autocommit=True)
    if silence_seconds is None:
        return session
    try:  # by a statement: a pooler in between takes no unknown parameters of a start
        session.execute("SELECT set_config('idle_session_timeout', %s, false)", [f"{int(silence_seconds * 1000)}ms"])
    except psycopg.Error:
        session.close()
        raise
    return session
