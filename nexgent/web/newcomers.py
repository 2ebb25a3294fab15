"""Pages for people without a session: register, accept an invitation, ask for and use a link to a new password."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from nexgent.accounts import recovery, registration, sessions
from nexgent.api.addresses import client_address
from nexgent.errors import InvalidInput, Refusal
from nexgent.web.access import principal_of, sign_in_url
from nexgent.web.proof import limited, said

_RESET, _INVITE = "_reset", "_invite"
"""In the session: the secret of the link that was opened, so that it leaves the address. Wrong ones make none."""


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "POST"])
@limited("register", 5)
def register(request: Any) -> HttpResponse:
    """The form when the operator allows it, else a sentence."""
    if request.user.is_authenticated:
        return redirect("portfolio")
    invite = request.session.get(_INVITE, "")
    invitation = registration.invitation_of(invite) if invite else None
    is_open = settings.REGISTRATION == "open" or (settings.REGISTRATION == "invite" and invitation is not None)
    context: dict[str, Any] = {
        "is_open": is_open,
        "mode": settings.REGISTRATION,
        "invitation": invitation,
        "email": request.POST.get("email", "") or (invitation.email if invitation else ""),
    }
    if request.method == "GET" or not is_open:
        return render(request, "account/register.html", context, status=200 if request.method == "GET" else 403)
    try:
        _same_twice(request)
        user = registration.register(
            email=context["email"], password=request.POST.get("password", ""), invite=invite if invitation else ""
        )
    except Refusal as refusal:
        return render(request, "account/register.html", context | said(refusal), status=refusal.status)
    request.session.pop(_INVITE, None)
    sessions.open_page_session(request, user, is_remembered=False)
    return redirect("portfolio")


@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: Any, secret: str = "") -> HttpResponse:
    """An invitation's link: the secret goes into the session, then one accepts, signs in or registers."""
    if secret and registration.invitation_of(secret) is not None:
        request.session[_INVITE] = secret
        return redirect("invitation")
    kept = "" if secret else request.session.get(_INVITE, "")
    found = registration.invitation_of(kept) if kept else None
    principal = principal_of(request)
    context: dict[str, Any] = {
        "invitation": found,
        "person": None if principal is None else principal.user,
        "may_register": settings.REGISTRATION in ("open", "invite"),
        "sign_in": sign_in_url(request),
    }
    if request.method == "GET" or found is None or principal is None:
        return render(request, "account/invitation.html", context, status=200 if found else 404)
    try:
        registration.invitation_accept(user=principal.user, secret=kept)
    except Refusal as refusal:
        return render(request, "account/invitation.html", context | said(refusal), status=refusal.status)
    request.session.pop(_INVITE, None)
    return redirect("portfolio")


@never_cache
@require_http_methods(["GET", "POST"])
@limited("reset", 5)
def reset(request: Any) -> HttpResponse:
    """Ask for a mailed link; the answer is the same whoever asks."""
    email = request.POST.get("email", "").strip()
    if request.method == "GET" or "@" not in email:
        return render(request, "account/reset.html", {"email": email})
    try:
        recovery.reset_ask(email=email, address=client_address(request))
    except Refusal as refusal:
        return render(request, "account/reset.html", {"email": email} | said(refusal), status=refusal.status)
    return render(request, "account/reset.html", {"email": email, "is_sent": True})


@never_cache
@sensitive_post_parameters("password", "again")
@require_http_methods(["GET", "POST"])
@limited("reset-use", 5)
def reset_use(request: Any, secret: str = "") -> HttpResponse:
    """The mailed link: the secret goes into the session, then a new password is chosen."""
    if secret and recovery.is_good(secret):
        request.session[_RESET] = secret
        return redirect("reset_use")
    kept = "" if secret else request.session.get(_RESET, "")
    if not recovery.is_good(kept):
        return render(request, "account/reset_use.html", {"is_good": False}, status=404)
    context: dict[str, Any] = {"is_good": True}
    if request.method == "GET":
        return render(request, "account/reset_use.html", context)
    try:
        _same_twice(request)
        recovery.reset_use(secret=kept, new=request.POST.get("password", ""))
    except Refusal as refusal:
        return render(request, "account/reset_use.html", context | said(refusal), status=refusal.status)
    sessions.close_page_session(request)
    return redirect(reverse("sign_in") + "?changed=1")


def _same_twice(request: Any) -> None:
    if request.POST.get("password", "") != request.POST.get("again", ""):
        raise InvalidInput({"again": "is not the same"})
