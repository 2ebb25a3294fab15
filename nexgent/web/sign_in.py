"""Sign in, sign out, change the password: a session for pages, under the same lock as the API's sign-in."""

from typing import Any

from django.contrib.auth import login, logout, update_session_auth_hash
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from nexgent.accounts import services
from nexgent.accounts.models import User
from nexgent.api.addresses import client_address
from nexgent.errors import InvalidInput, Refusal
from nexgent.events import control

REMEMBERED_SECONDS = 30 * 86_400


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: Any) -> HttpResponse:
    """The form, and what it sends."""
    back = _safe(request, request.POST.get("next") or request.GET.get("next", ""))
    if request.user.is_authenticated:
        return redirect(back)
    context: dict[str, Any] = {"next": back, "email": request.POST.get("email", "")}
    if request.method == "GET":
        return render(request, "pages/sign_in.html", context)
    try:
        user = services.authenticate(
            email=context["email"], password=request.POST.get("password", ""), address=client_address(request)
        )
    except Refusal as refusal:
        details = refusal.details if isinstance(refusal.details, dict) else {}
        context |= {"problem": refusal.message, "locked_until": details.get("lockedUntil")}
        return render(request, "pages/sign_in.html", context, status=refusal.status)
    login(request, user)
    request.session.set_expiry(REMEMBERED_SECONDS if request.POST.get("remember") else 0)
    return redirect("password" if user.must_change_password else back)


@require_POST
def sign_out(request: Any) -> HttpResponse:
    """End the session and the sockets it opened."""
    key = request.session.session_key
    logout(request)
    if key:
        control.revoke(key)
    return redirect("sign_in")


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def password(request: Any) -> HttpResponse:
    """Change the password; the first one, which a machine chose, before anything else."""
    if not request.user.is_authenticated:
        return redirect("sign_in")
    user: User = request.user
    context: dict[str, Any] = {"is_first": user.must_change_password, "is_bare": user.must_change_password}
    if request.method == "GET":
        return render(request, "pages/password.html", context)
    new = request.POST.get("password", "")
    try:
        if new != request.POST.get("again", ""):
            raise InvalidInput({"again": "is not the same"})
        services.password_change(user_id=user.id, current=request.POST.get("current", ""), new=new)
    except InvalidInput as problem:
        problems = {("current" if name == "currentPassword" else name): text for name, text in problem.problems.items()}
        return render(request, "pages/password.html", context | {"problems": problems}, status=400)
    user.refresh_from_db()
    update_session_auth_hash(request, user)
    return redirect("portfolio")


def _safe(request: Any, url: str) -> str:
    is_ours = url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return url if is_ours and url.startswith("/") else "/"
