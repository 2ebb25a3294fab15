"""Many threads at one moment against the real database, each with a connection of its own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection

THREADS = 12


def together(works: Sequence[Callable[[], Any]], *, threads: int | None = None) -> list[Any]:
    """Run all works, as many at once as there are threads, begun at one moment; results and exceptions in order."""
    size = threads or min(len(works), THREADS)
    gate = threading.Barrier(size)
    begun = threading.local()

    def run(work: Callable[[], Any]) -> Any:
        if not getattr(begun, "yes", False):
            begun.yes = True
            gate.wait(20)
        try:
            return work()
        except Exception as problem:  # the test looks at it
            return problem
        finally:
            connection.close()

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(run, works))
