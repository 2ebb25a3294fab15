"""The negative controls: each takes one commit away from the processes, and the same proof must find what that costs.

* `intent`: a signal counts as answered as soon as it is claimed, before the orders it leads to are committed. Who dies
  between loses them: `lost`.
* `signal`: the web process answers 201 first and commits two seconds later. A death between loses the signal: `lost`.
* `submitted`: the venue is called while the order's row does not say so yet. Who comes after a death there sends it
  once more: `doubled`.
"""

import queue
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

LATE_SECONDS = 2.0


def finish_before_orders() -> None:
    """`intent`, in a worker."""
    from signals import fanout, verdicts

    claimed: Callable[[], list[Any]] = fanout._claimed

    def claimed_and_finished() -> list[Any]:
        signals = claimed()
        verdicts.finish([signal.id for signal in signals])
        return signals

    fanout._claimed = claimed_and_finished


def answer_before_commit() -> None:
    """`signal`, in a web process."""
    from django.db import connection, transaction

    from nexgent.api import idempotency
    from signals import api

    def answered_first(request: Any, action: Callable[[], Any]) -> Any:
        answers: queue.Queue[Any] = queue.Queue()

        def store() -> None:
            try:
                with transaction.atomic():
                    answers.put(idempotency.once(request, action))
                    time.sleep(LATE_SECONDS)
            except Exception as problem:  # raised by whoever waits for the answer
                answers.put(problem)
            finally:
                connection.close()

        threading.Thread(target=store, name="late", daemon=True).start()
        answer = answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    changed: Any = api
    changed.idempotency = SimpleNamespace(once=answered_first)


def send_before_commit() -> None:
    """`submitted`, in a worker: the state stands in memory only when the venue is called."""
    from nexgent import clock
    from trading.engine import executor
    from trading.models import State

    def submitted_in_memory(works: Any, owner: Any) -> Any:
        for work in works:
            work.order.state = State.SUBMITTED
            work.order.lands_at = clock.now() + timedelta(milliseconds=work.quote.delay_ms)
        return list(works)

    executor.submitted = submitted_in_memory  # type: ignore[assignment]


OF_WORKERS = {"intent": finish_before_orders, "submitted": send_before_commit}
OF_WEBS = {"signal": answer_before_commit}
POINTS: dict[str, dict[str, tuple[str, ...]]] = {
    "intent": {"entries": ("verdict_skips_written", "entry_before_commit")},
    "signal": {"web": ("signal_committed:2",)},
    "submitted": {"entries": ("venue_called", "resolved"), "exits": ("venue_called", "resolved")},
}
"""Where processes die in each control; at its second signal a web process has answered the first."""
NAMES = tuple(POINTS)
