"""Health and metrics under `/api/v1/`, and the same at the root, with and without a last slash."""

from django.urls import re_path

from nexgent.runtime import health, metrics

urlpatterns = [
    re_path(r"^(?:api/v1/)?health/?$", health.health, name="health"),
    re_path(r"^(?:api/v1/)?health/live/?$", health.live, name="health_live"),
    re_path(r"^(?:api/v1/)?health/ready/?$", health.ready, name="health_ready"),
    re_path(r"^(?:api/v1/)?metrics/?$", metrics.Metrics.as_view(), name="metrics"),
]
