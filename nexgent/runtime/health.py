"""Health as interfaces.md defines it: alive, ready, and how everything is.

Ready means that this process can work: PostgreSQL, migrations, Valkey, recovery. The long answer adds what lower layers
report (`HEALTH_REPORTS`) and which processes are alive. A silent feed degrades, it never takes the product away from
somebody who wants to close.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils.module_loading import import_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from psycopg_pool import PoolTimeout

from nexgent import clock
from nexgent.api.openapi import describe
from nexgent.api.wire import stamp
from nexgent.runtime import presence
from nexgent.runtime.processes import COMMANDS
from nexgent.runtime.shapes import HealthShape, LiveShape, ReadyShape

logger = logging.getLogger(__name__)

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
QUEUES = ("exits", "entries", "prices", "default")
QUEUE_LONG = 1_000
DATABASE_SECONDS = 2
"""So long PostgreSQL may take to be there; libpq knows no shorter time."""
_ASK_NOT = frozenset({"pool", "cursor_factory", "context"})
_STARTED = time.monotonic()
DOWN = (DatabaseError, psycopg.Error, PoolTimeout, redis.RedisError, OSError)


@dataclass(slots=True)
class _Migrations:
    """Migrations only ever get applied: once complete, not looked at again by this process."""

    is_complete: bool = False

    def check(self) -> bool:
        if not self.is_complete:
            executor = MigrationExecutor(connection)
            self.is_complete = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        return self.is_complete


@dataclass(slots=True)
class Readiness:
    """The checks of `/ready` by name, in order; each answers True or False, or raises when its server is away."""

    migrations: _Migrations = field(default_factory=_Migrations)

    def checks(self) -> dict[str, Callable[[], bool]]:
        """What must be true, the checks of lower layers last."""
        lower = {name: _load(path) for name, path in settings.READY_CHECKS.items()}
        return {"database": _database, "migrations": self.migrations.check, "redis": _valkey, **lower}

    def ask(self) -> dict[str, bool]:
        """Every check's answer; what cannot be asked is not ready. Without PostgreSQL only Valkey is asked: the others
        would each wait for a connection that nobody gives.
        """
        checks = self.checks()
        answers = {"database": _is_true("database", checks.pop("database"))}
        for name, check in checks.items():
            answers[name] = (answers["database"] or name == "redis") and _is_true(name, check)
        return answers


readiness = Readiness()


def _load(path: str) -> Callable[[], Any]:
    return import_string(path)  # type: ignore[no-any-return]


def _is_true(name: str, check: Callable[[], bool]) -> bool:
    try:
        return bool(check())
    except DOWN as problem:
        logger.warning("not ready: %s: %s", name, problem)
        return False


def _database() -> bool:
    """Ask PostgreSQL by a connection of its own: the pool's would make the asker wait for it as long as a request."""
    parameters = {name: value for name, value in connection.get_connection_params().items() if name not in _ASK_NOT}
    parameters |= {"connect_timeout": DATABASE_SECONDS, "tcp_user_timeout": DATABASE_SECONDS * 1000}
    with psycopg.connect(**parameters, autocommit=True) as own:
        own.execute(f"SET statement_timeout = '{DATABASE_SECONDS}s'")
        own.execute("SELECT 1")
    return True


def _valkey() -> bool:
    valkey = presence.client()
    try:
        return bool(valkey.ping())
    finally:
        valkey.close()


def _timed(check: Callable[[], bool]) -> dict[str, Any]:
    """Status and latency (ms) of one server."""
    begun = time.perf_counter()
    try:
        check()
    except DOWN as problem:
        logger.warning("health: %s", problem)
        return {"status": UNHEALTHY}
    return {"status": HEALTHY, "latency": round((time.perf_counter() - begun) * 1000, 1)}


def _processes() -> dict[str, Any]:
    """Workers, beat, queue and WebSocket, as far as Valkey knows them."""
    valkey = presence.client()
    try:
        found = presence.alive(valkey)
        lengths = {queue: int(valkey.llen(queue)) for queue in QUEUES}
    except redis.RedisError:
        missing = {"status": DEGRADED}
        return {"queue": missing, "workers": missing, "beat": missing, "websocket": {**missing, "connectionCount": 0}}
    finally:
        valkey.close()
    counts = {name: len(found.get(name, [])) for name in COMMANDS if name not in {"web", "beat"}}
    sockets = sum(int(process.get("sockets", 0)) for process in found.get("web", []))
    return {
        "queue": {"status": HEALTHY if max(lengths.values()) < QUEUE_LONG else DEGRADED, "waiting": lengths},
        "workers": {"status": HEALTHY if all(counts.values()) else DEGRADED, "count": counts},
        "beat": {"status": HEALTHY if found.get("beat") else DEGRADED},
        "websocket": {"status": HEALTHY if found.get("web") else DEGRADED, "connectionCount": sockets},
    }


def _reports(*, is_database_there: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, path in settings.HEALTH_REPORTS.items():
        if not is_database_there:
            found[name] = {"status": DEGRADED}
            continue
        try:
            found[name] = _load(path)()
        except DOWN as problem:
            logger.warning("health: %s: %s", name, problem)
            found[name] = {"status": DEGRADED}
    return found


def _now() -> str:
    return stamp(clock.now())


def _uptime() -> float:
    return round(time.monotonic() - _STARTED, 1)


@describe("getLive", "Alive", tag="Health", answer=LiveShape, public=True)
@never_cache
@require_safe
def live(_request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all."""
    return JsonResponse({"alive": True, "timestamp": _now(), "uptime": _uptime()})


@describe(
    "getReady",
    "Ready to work, or what is missing",
    tag="Health",
    answer=ReadyShape,
    also={503: ReadyShape},
    public=True,
)
@never_cache
@require_safe
def ready(_request: HttpRequest) -> JsonResponse:
    """200 when work can be done here, else 503 with what is missing."""
    answers = readiness.ask()
    is_ready = all(answers.values())
    body = {"ready": is_ready, "timestamp": _now(), "checks": answers}
    return _quiet(JsonResponse(body, status=200 if is_ready else 503))


def _quiet(response: JsonResponse) -> JsonResponse:
    """Keep Django from logging an answer as a server error: a 503 here is an answer, and its cause is logged."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


@describe("getHealth", "Everything at a glance", tag="Health", answer=HealthShape, also={503: HealthShape}, public=True)
@never_cache
@require_safe
def health(_request: HttpRequest) -> JsonResponse:
    """Everything at a glance: unhealthy (503) without PostgreSQL, degraded (200) when something else is missing."""
    database = _timed(_database)
    is_there = database["status"] == HEALTHY
    services = {"database": database, "redis": _timed(_valkey), **_processes(), **_reports(is_database_there=is_there)}
    if not is_there:
        status = UNHEALTHY
    else:
        status = HEALTHY if all(part["status"] == HEALTHY for part in services.values()) else DEGRADED
    body = {"status": status, "timestamp": _now(), "uptime": _uptime(), "services": services}
    return _quiet(JsonResponse(body, status=503 if status == UNHEALTHY else 200))
