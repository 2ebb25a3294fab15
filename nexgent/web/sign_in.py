"""Sign in, with a second factor or a passkey, and sign out: a session for pages, under the same locks as the API's."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from nexgent import clock
from nexgent.accounts import factors, services, sessions
from nexgent.accounts.models import User
from nexgent.api.addresses import client_address
from nexgent.errors import Refusal
from nexgent.web.access import principal_of
from nexgent.web.proof import limited, said, way_back

PENDING = "_pending"
"""In the session of somebody whose password was right: `{user, proof, at, remember, next}`; `proof` ends with it."""
PENDING_GOOD = timedelta(minutes=10)


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@limited("sign-in", 20)
def sign_in(request: Any) -> HttpResponse:
    """The form, and what it sends."""
    back = way_back(request, request.POST.get("next") or request.GET.get("next", ""))
    if principal_of(request) is not None:  # without a workspace a person would be sent here again
        return redirect(back)
    context: dict[str, Any] = {
        "next": back,
        "email": request.POST.get("email", ""),
        "has_registration": settings.REGISTRATION == "open",
    }
    if request.method == "GET":
        return render(request, "pages/sign_in.html", context)
    try:
        user = services.authenticate(
            email=context["email"], password=request.POST.get("password", ""), address=client_address(request)
        )
    except Refusal as refusal:
        return render(request, "pages/sign_in.html", context | said(refusal), status=refusal.status)
    is_remembered = bool(request.POST.get("remember"))
    if factors.is_needed(user.pk):
        request.session.cycle_key()
        request.session[PENDING] = {
            "user": str(user.pk),
            "proof": user.get_session_auth_hash(),
            "at": clock.now().isoformat(),
            "remember": is_remembered,
            "next": back,
        }
        return redirect("second_factor")
    return _let_in(request, user, is_remembered=is_remembered, back=back)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def second_factor(request: Any) -> HttpResponse:
    """A code, or a passkey, of somebody whose password was right."""
    user = _pending(request)
    if user is None:
        return redirect("sign_in")
    kinds = {factor.kind for factor in factors.listed(user.pk)}
    context = {"has_app": factors.TOTP in kinds, "has_passkey": factors.PASSKEY in kinds}
    if request.method == "GET":
        return render(request, "account/second_factor.html", context)
    pending = request.session[PENDING]
    try:
        if request.POST.get("credential"):
            factors.passkey_check(user, credential_of(request))
        else:
            factors.code_check(user, request.POST.get("code", "")[:20])
    except Refusal as refusal:
        return render(request, "account/second_factor.html", context | said(refusal), status=refusal.status)
    return _let_in(request, user, is_remembered=pending["remember"], back=pending["next"])


@never_cache
@require_POST
@limited("passkey", 20)
def passkey_options(request: Any) -> HttpResponse:
    """What the browser asks its authenticator: a passkey of the person who is signing in or signed in, else any."""
    user = request.user if request.user.is_authenticated else _pending(request)
    return JsonResponse(factors.passkey_challenge(user))


@never_cache
@require_POST
@limited("passkey", 20)
def passkey(request: Any) -> HttpResponse:
    """Sign in with a passkey alone: it is a second factor and knows its person."""
    back = way_back(request, request.POST.get("next", ""))
    try:
        user = factors.passkey_check(None, credential_of(request))
    except Refusal as refusal:
        context = {"next": back, "has_registration": settings.REGISTRATION == "open"}
        context["problem"] = "This passkey is not known here. Sign in with your password."
        return render(request, "pages/sign_in.html", context, status=refusal.status)
    return _let_in(request, user, is_remembered=bool(request.POST.get("remember")), back=back)


@never_cache
def admin_sign_in(request: Any) -> HttpResponse:
    """The admin's door is ours; who is signed in and no member of the staff stays out."""
    if request.user.is_authenticated and not request.user.is_staff:
        raise PermissionDenied
    back = way_back(request, request.GET.get("next", ""), default="/admin/")
    return redirect(reverse("sign_in") + "?" + urlencode({"next": back}))


@require_POST
def sign_out(request: Any) -> HttpResponse:
    """End the session and the sockets it opened."""
    sessions.close_page_session(request)
    return redirect("sign_in")


def credential_of(request: Any) -> dict[str, Any]:
    """What the browser's authenticator answered. Raises `Refusal` for what is no credential."""
    try:
        found = orjson.loads(request.POST.get("credential", ""))
    except orjson.JSONDecodeError as problem:
        raise factors.wrong() from problem
    if not isinstance(found, dict) or not isinstance(found.get("response"), dict):
        raise factors.wrong()
    return found


def _let_in(request: Any, user: User, *, is_remembered: bool, back: str) -> HttpResponse:
    request.session.pop(PENDING, None)
    sessions.open_page_session(request, user, is_remembered=is_remembered)
    return redirect("password" if user.must_change_password else back)


def _pending(request: Any) -> User | None:
    pending = request.session.get(PENDING)
    at = parse_datetime(pending["at"]) if pending else None
    if at is None or clock.now() - at > PENDING_GOOD:
        return None
    user = User.objects.filter(pk=UUID(pending["user"]), is_active=True).first()
    if user is None or not constant_time_compare(pending.get("proof", ""), user.get_session_auth_hash()):
        return None  # the password that was right has changed since
    return user
