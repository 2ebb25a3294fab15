"""The engine: from intent to fill. `outside` guards every step that leaves the process."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from nexgent.errors import NexgentError


class InsideTransaction(NexgentError):
    """A network call was about to happen inside a transaction."""


@contextmanager
def outside() -> Iterator[None]:
    """Surround a call to the outside world: gives the database connection back first, refuses inside `atomic()`."""
    if connection.in_atomic_block:
        raise InsideTransaction("no network call inside a transaction")
    connection.close()
    yield
