"""Answers for every page of an installation that nobody owns yet."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from nexgent.accounts import services as accounts
from nexgent.api import errors
from nexgent.api.rendering import dumps

SENTENCE = "There is no administrator yet. Make the first one on the server: python manage.py create_admin"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Nexgent: no administrator yet</title>
<body><h1>No administrator yet</h1><p>Make the first one on the server:</p>
<pre>python manage.py create_admin</pre></body></html>
"""


class AdministratorRequired:
    """503 with the command that helps until an administrator exists; health and static files stay."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.is_settled = False  # users are never all deleted: once seen, not asked again

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self.is_settled or not settings.REQUIRE_ADMINISTRATOR or self._is_open(request.path_info):
            return self.get_response(request)
        self.is_settled = accounts.has_administrator()
        if self.is_settled:
            return self.get_response(request)
        if request.path_info.startswith("/api/"):
            body = errors.body_of("NO_ADMINISTRATOR", SENTENCE, None, getattr(request, "request_id", ""))
            return HttpResponse(dumps(body), status=503, content_type="application/json")
        return HttpResponse(_PAGE, status=503)

    @staticmethod
    def _is_open(path: str) -> bool:
        return path.startswith(("/health", "/api/v1/health", settings.STATIC_URL))
