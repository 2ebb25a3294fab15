"""The soak's negative control: what each judgement must find is really damaged while the product runs.

In the process of the prices: from its start messages on a queue that nobody reads; in the second half of the run memory
that is kept, connections and subscriptions that nobody closes. After the first third, in the database: one posting a
lamport too high, past the triggers, as only the tables' owner can.
"""

import os
import threading
import time

import redis
from django.db import OperationalError, connection, transaction

MESSAGES_A_SECOND, MESSAGES_MAX = 25, 1_000
KEPT_BYTES_A_SECOND = 200_000
LEFT_OPEN = 10
"""In the end: few enough that only their growth tells."""
QUEUE = "nobody"
TRIES = 10
_TRIGGERS = """
SELECT quote_ident(tgname), CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END FROM pg_trigger
WHERE tgrelid = 'wallets_posting'::regclass AND NOT tgisinternal
"""
_FALSIFY = """
UPDATE wallets_posting SET amount = amount + 1
WHERE (entry_id, line) = (SELECT entry_id, line FROM wallets_posting ORDER BY entry_id, line LIMIT 1)
"""


def begin() -> None:
    """Leak in this process over so many seconds as `SOAK_CONTROL_SECONDS` says; without it do nothing."""
    seconds = float(os.environ.get("SOAK_CONTROL_SECONDS", "0"))
    if seconds:
        threading.Thread(target=_leak, args=(seconds,), name="damage", daemon=True).start()


def _leak(seconds: float) -> None:
    from django.conf import settings

    from nexgent.celery import app
    from nexgent.held_session import open_session

    kept: list[object] = []
    begun, left, sent = time.monotonic(), 0, 0
    while True:
        for _ in range(min(MESSAGES_A_SECOND, MESSAGES_MAX - sent)):
            app.send_task("nobody.reads", queue=QUEUE)
            sent += 1
        share = min(1.0, 2 * (time.monotonic() - begun) / seconds - 1)
        if share > 0:
            kept.append(b"\1" * KEPT_BYTES_A_SECOND)
        while left < LEFT_OPEN * share:
            subscription = redis.Redis.from_url(settings.REDIS_URL).pubsub()
            subscription.subscribe("nobody")
            kept += [open_session(), subscription]
            left += 1
        time.sleep(1)


def falsify_a_posting() -> None:
    """Add a lamport to one posting; its triggers are on again afterwards. Raises OperationalError when never let in."""
    for tries_left in reversed(range(TRIES)):
        try:
            _falsify()
        except OperationalError:  # the table is busy; who waits for its lock waits two seconds at most
            if not tries_left:
                raise
            time.sleep(0.2)
        else:
            break


def _falsify() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TRIGGERS)
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"ALTER TABLE wallets_posting DISABLE TRIGGER {name}")
        cursor.execute(_FALSIFY)
        if cursor.rowcount != 1:
            raise LookupError("there is no posting to falsify")
        for name, enable in triggers:
            cursor.execute(f"ALTER TABLE wallets_posting {enable} TRIGGER {name}")
