"""Pages for what went wrong outside of a view, in the look of the sign-in page and with a way back.

The API keeps its own answers. A page is rendered without the context of other pages: whatever failed may be what that
would ask.
"""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from nexgent.api import errors

WORDS = {
    400: ("This request makes no sense here", "The address or what was sent with it is not valid."),
    403: ("Not allowed", "Your role does not include this. An owner of the workspace can change that."),
    404: ("Nothing is here", "The address is wrong, or what it named is gone or not yours."),
    500: ("Something went wrong on our side", "It was written down. Trading goes on; try again in a moment."),
}
"""Per status what a page says: title, and what to make of it."""
FOREIGN_FORM = "The form was too old or came from somewhere else. Go back, load the page anew and send it again."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return errors.handler400(request, exception) if errors.is_api(request) else _page(request, 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return errors.handler403(request, exception) if errors.is_api(request) else _page(request, 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return errors.handler404(request, exception) if errors.is_api(request) else _page(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    return errors.handler500(request) if errors.is_api(request) else _page(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without its token; `reason` is for the log, which Django writes."""
    if errors.is_api(request):
        return errors.handler403(request, PermissionDenied(reason))
    return _page(request, 403, text=FOREIGN_FORM)


def _page(request: Any, status: int, *, text: str = "") -> HttpResponse:
    title, usual = WORDS[status]
    if getattr(request, "htmx", False):  # a button's answer: a word beside the page, which stays
        toast = {"kind": "error", "title": title, "text": text or usual}
        return HttpResponse(render_to_string("live/toast.html", toast), status=status, headers={"HX-Reswap": "none"})
    context = {"request": request, "status": status, "title": title, "text": text or usual}
    if status == 500:
        context["request_id"] = getattr(request, "request_id", "")
    return HttpResponse(render_to_string("pages/failed.html", context), status=status)
