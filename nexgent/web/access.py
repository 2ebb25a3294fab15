"""Who may see a page: signed in, with a workspace, with a password of their own, in the role that the page asks for."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect

from nexgent.accounts import audit, principals, sessions
from nexgent.accounts.models import Role
from nexgent.accounts.principals import Principal

View = Callable[..., HttpResponse]
SELECTED_MAX = 100
"""Ids of rows that one entry of the audit trail names."""


def page(view: View | None = None, *, least: Role = Role.VIEWER) -> Any:
    """Let a view run for a signed-in person of at least this role; `request.principal` is who it is."""

    def decorate(inner: View) -> View:
        @never_cache
        @wraps(inner)
        def run(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            principal = principal_of(request)
            if principal is None:
                return go(request, sign_in_url(request))
            if principal.user.must_change_password:
                return go(request, reverse("password"))
            if not principal.has_role(least):
                raise PermissionDenied
            request.principal = principal
            return inner(request, *args, **kwargs)

        return run

    return decorate if view is None else decorate(view)


def principal_of(request: Any) -> Principal | None:
    """Who is signed in to the pages, and when they last proved it."""
    if not request.user.is_authenticated:
        return None
    return principals.of_user(request.user.pk, proved_at=sessions.proved_at(request.session))


def go(request: Any, url: str) -> HttpResponse:
    """A redirect that a page's script follows with the whole page."""
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def sign_in_url(request: HttpRequest) -> str:
    """The sign-in page, with the way back; an action is not repeated, its page is shown instead."""
    back = request.get_full_path() if request.method == "GET" and not getattr(request, "htmx", False) else "/"
    return reverse("sign_in") + ("" if back == "/" else "?" + urlencode({"next": back}))


class AdminActions:
    """Middleware: what somebody does with rows of an admin list is on record, whatever it changes.

    Forms are recorded by the admin's own log, which the trail follows; actions on lists leave nothing there.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.method == "POST" and request.path_info.startswith("/admin/") and response.status_code < 400:
            self._record(request)
        return response

    @staticmethod
    def _record(request: HttpRequest) -> None:
        action, chosen = request.POST.get("action"), request.POST.getlist("_selected_action")
        if not action or not chosen or not request.user.is_staff:
            return
        audit.acted(
            kind="admin_action",
            object_id=chosen[0] if len(chosen) == 1 else "",
            facts={
                "action": action[:100],
                "model": ".".join(request.path_info.split("/")[2:4])[:100],
                "selected": [row_id[:100] for row_id in chosen[:SELECTED_MAX]],
                "count": len(chosen),
                "acrossPages": request.POST.get("select_across") == "1",
            },
        )


class OwnPassword:
    """Middleware: a first password is changed before the admin opens, too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if (
            request.path_info.startswith("/admin/")
            and request.user.is_authenticated
            and request.user.must_change_password
            and not request.path_info.startswith("/admin/logout")
        ):
            return redirect("password")
        return self.get_response(request)
