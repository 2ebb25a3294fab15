"""The account pages: where one is signed in, what one proves oneself with, password and e-mail."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from nexgent.accounts import factors, recovery, services, sessions, step_up
from nexgent.accounts.models import User
from nexgent.errors import InvalidInput, NotFound, Refusal
from nexgent.web import browsers
from nexgent.web.access import page, principal_of
from nexgent.web.proof import fresh, limited, said, way_back
from nexgent.web.sign_in import credential_of

_SECRET = "_totp"  # noqa: S105  (the name it has in the session)
_CODES = "_codes"


@require_GET
@page
def account(request: Any) -> HttpResponse:
    """Everything about one's own access."""
    return render(request, "account/account.html", _context(request))


def _context(request: Any) -> dict[str, Any]:
    principal = request.principal
    mine = factors.listed(principal.user.pk)
    open_sessions = sessions.listed(principal.user.pk, current=request.session.session_key)
    return {
        "principal": principal,
        "app": next((factor for factor in mine if factor.kind == factors.TOTP), None),
        "passkeys": [factor for factor in mine if factor.kind == factors.PASSKEY],
        "codes": next((factor for factor in mine if factor.kind == factors.RECOVERY), None),
        "sessions": [(each, browsers.words(each.user_agent)) for each in open_sessions],
    }


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def password(request: Any) -> HttpResponse:
    """Change the password; the first one, which a machine chose, before anything else."""
    principal = principal_of(request)
    if principal is None:
        return redirect("sign_in")
    user: User = request.user
    is_first = user.must_change_password
    if not is_first and factors.is_needed(user.pk) and not step_up.is_fresh(principal):
        return redirect("/account/confirm/?next=/password/")
    context: dict[str, Any] = {"is_first": is_first}
    if request.method == "GET":
        return render(request, "pages/password.html", context)
    new = request.POST.get("password", "")
    try:
        if new != request.POST.get("again", ""):
            raise InvalidInput({"again": "is not the same"})
        changed = services.password_change(
            user_id=user.id,
            current=request.POST.get("current", ""),
            new=new,
            page_key=request.session.session_key,
        )
    except InvalidInput as problem:
        problems = {("current" if name == "currentPassword" else name): text for name, text in problem.problems.items()}
        return render(request, "pages/password.html", context | {"problems": problems}, status=400)
    except Refusal as refusal:
        return render(request, "pages/password.html", context | said(refusal), status=refusal.status)
    update_session_auth_hash(request, changed)  # not as it is by now: a later change ends this session too
    step_up.record_page(request.session)
    return redirect("portfolio")


@sensitive_post_parameters("password", "code")
@require_http_methods(["GET", "POST"])
@page
def confirm(request: Any) -> HttpResponse:
    """Prove once more who one is, then go on."""
    back = way_back(request, request.POST.get("next") or request.GET.get("next", ""), default="/account/")
    user = request.principal.user
    kinds = {factor.kind for factor in factors.listed(user.pk)}
    context: dict[str, Any] = {
        "next": back,
        "has_factor": bool(kinds),
        "has_app": factors.TOTP in kinds,
        "has_passkey": factors.PASSKEY in kinds,
        "person": user,
    }
    if request.method == "GET":
        return render(request, "account/confirm.html", context)
    try:
        if request.POST.get("credential"):
            factors.passkey_check(user, credential_of(request))
        else:
            services.proof_check(
                user, password=request.POST.get("password", ""), code=request.POST.get("code", "")[:20]
            )
    except Refusal as refusal:
        return render(request, "account/confirm.html", context | said(refusal), status=refusal.status)
    step_up.record_page(request.session)
    return redirect(back)


@require_http_methods(["GET", "POST"])
@page
@fresh
def app(request: Any) -> HttpResponse:
    """Add an authenticator app: its secret as a picture and as text, then a code that shows it arrived."""
    user = request.principal.user
    if request.method == "GET":
        offer = factors.totp_offer(user)
        request.session[_SECRET] = offer.secret
        return render(request, "account/app.html", {"offer": offer})
    secret = request.session.get(_SECRET, "")
    try:
        codes = factors.totp_add(user, secret=secret, code=request.POST.get("code", "")[:20])
    except Refusal as refusal:
        offer = factors.totp_offer(user, secret=secret) if secret else None
        return render(request, "account/app.html", {"offer": offer} | said(refusal), status=refusal.status)
    request.session.pop(_SECRET, None)
    return _shown(request, codes, "The authenticator app was added.")


@require_POST
@page
@fresh
def passkey_offer(request: Any) -> HttpResponse:
    """What the browser asks its authenticator for a new passkey."""
    return JsonResponse(factors.passkey_offer(request.principal.user))


@require_POST
@page
@fresh
def passkey_add(request: Any) -> HttpResponse:
    """Add the passkey that the browser made."""
    try:
        codes = factors.passkey_add(
            request.principal.user, name=request.POST.get("name", ""), credential=credential_of(request)
        )
    except Refusal:
        messages.error(request, "The passkey was not accepted. Try again.")
        return redirect("account")
    return _shown(request, codes, "The passkey was added.")


@require_POST
@page
@fresh
def codes_renew(request: Any) -> HttpResponse:
    """New recovery codes, shown once."""
    try:
        codes = factors.recovery_codes_renew(request.principal.user)
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return redirect("account")
    return _shown(request, codes, "")


@require_GET
@page
def codes(request: Any) -> HttpResponse:
    """Recovery codes that were just made; gone when the page is left."""
    shown = request.session.pop(_CODES, None)
    return render(request, "account/codes.html", {"codes": shown}) if shown else redirect("account")


def _shown(request: Any, codes: list[str], done: str) -> HttpResponse:
    if done:
        messages.success(request, done)
    if not codes:
        return redirect("account")
    request.session[_CODES] = codes
    return redirect("codes")


@require_POST
@page
@fresh
def factor_remove(request: Any, factor_id: UUID) -> HttpResponse:
    try:
        factors.factor_remove(request.principal.user, factor_id)
        messages.success(request, "It was removed.")
    except NotFound:
        messages.error(request, "It was removed already.")
    return redirect("account")


@require_POST
@page
def session_end(request: Any, session_id: UUID) -> HttpResponse:
    try:
        sessions.end(request.principal.user.pk, session_id)
        messages.success(request, "That session has ended.")
    except NotFound:
        messages.error(request, "That session had ended already.")
    return redirect("account")


@require_POST
@page
def sessions_end(request: Any) -> HttpResponse:
    """End every session but this one."""
    ended = sessions.end_all(request.principal.user.pk, except_page=request.session.session_key)
    messages.success(request, f"{ended} other session{'' if ended == 1 else 's'} ended.")
    return redirect("account")


@require_POST
@page
@fresh
@limited("email", 5)
def email(request: Any) -> HttpResponse:
    """Ask for a change of e-mail: a link goes to the new address."""
    try:
        recovery.email_ask(user=request.principal.user, email=request.POST.get("email", ""))
    except InvalidInput as problem:
        context = _context(request) | {"problems": problem.problems, "email": request.POST.get("email", "")}
        return render(request, "account/account.html", context, status=400)
    messages.success(request, "A link is on its way to the new address; the e-mail changes when you open it.")
    return redirect("account")


@require_GET
@page
def email_use(request: Any, secret: str) -> HttpResponse:
    """The link that was mailed to the new address."""
    try:
        new = recovery.email_use(secret=secret, user_id=request.principal.user.pk)
        messages.success(request, f"Your e-mail is now {new}.")
    except Refusal as refusal:
        messages.error(request, refusal.message)
    return redirect("account")
