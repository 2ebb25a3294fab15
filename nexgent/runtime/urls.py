"""Health under `/api/v1/health`, and the same at `/health`, with and without a last slash."""

from django.urls import re_path

from nexgent.runtime import health

urlpatterns = [
    re_path(r"^(?:api/v1/)?health/?$", health.health),
    re_path(r"^(?:api/v1/)?health/live/?$", health.live),
    re_path(r"^(?:api/v1/)?health/ready/?$", health.ready),
]
