"""`/metrics` for Prometheus: one scrape of any web process tells of the whole installation.

Nothing is measured twice: states, ages and latencies are read from PostgreSQL and Valkey when somebody asks, and what
only processes know comes from the counters they share (`nexgent.runtime.counters`). Each part is asked by itself, so
that a server that is away costs its own figures only. Labels are closed sets: no ids, no addresses.
"""

import hmac
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from rest_framework.request import Request

from nexgent.accounts.authentication import Credentials
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.permissions import Allowed
from nexgent.api.openapi import describe
from nexgent.errors import Refusal
from nexgent.runtime import metrics_database, metrics_valkey
from nexgent.runtime.health import DOWN

logger = logging.getLogger(__name__)
PARTS: dict[str, Callable[[], Iterable[Metric]]] = {**metrics_database.PARTS, **metrics_valkey.PARTS}
_SCRAPER = "metrics token"


class Installation(Collector):
    """All metrics, part by part; a part whose server is away is left out and says so."""

    def collect(self) -> Iterator[Metric]:
        answered = GaugeMetricFamily("nexgent_scrape_ok", "Whether this part could be read.", labels=["part"])
        took = GaugeMetricFamily("nexgent_scrape_seconds", "How long reading this part took.", labels=["part"])
        for name, read in PARTS.items():
            begun = time.perf_counter()
            try:
                yield from list(read())
            except DOWN as problem:
                logger.warning("metrics without %s: %s", name, problem)
                answered.add_metric([name], 0)
            else:
                answered.add_metric([name], 1)
            took.add_metric([name], time.perf_counter() - begun)
        yield from (answered, took)


def text() -> bytes:
    """Everything, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Installation())
    return generate_latest(registry)


class _TokenOrPerson(Credentials):
    """The scraper's own token, which needs no database, else a person's credential."""

    def authenticate(self, request: Any) -> Any:
        kind, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        wanted = settings.METRICS_TOKEN.encode()
        if wanted and kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), wanted):
            return AnonymousUser(), _SCRAPER
        return super().authenticate(request)


class _ScraperOrAdministrator(Allowed):
    """Owning a workspace is not enough: what is told is of the whole installation."""

    def has_permission(self, request: Any, view: Any) -> bool:
        if request.auth == _SCRAPER:
            return True
        if not super().has_permission(request, view):
            return False
        if not request.principal.user.is_superuser:
            raise Refusal("AUTHORIZATION_ERROR", "Metrics are for the scraper's token and for administrators.")
        return True


class Metrics(Endpoint):
    """Metrics of the whole installation, for the scraper's token or an administrator."""

    authentication_classes = (_TokenOrPerson,)
    permission_classes = (_ScraperOrAdministrator,)
    roles = {"GET": Role.OWNER}

    @describe("getMetrics", "Metrics for Prometheus", tag="Health", answer=str, produces="text/plain")
    def get(self, _request: Request | HttpRequest) -> HttpResponse:
        return HttpResponse(text(), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
