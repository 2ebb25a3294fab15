"""What pages of accounts share: limits per address, the fresh proof, words of a refusal, ways back."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.http import url_has_allowed_host_and_scheme

from nexgent.accounts import step_up
from nexgent.api import throttling
from nexgent.api.addresses import client_address, counted_address
from nexgent.errors import InvalidInput, Refusal

View = Callable[..., HttpResponse]


def way_back(request: Any, url: str, *, default: str = "/") -> str:
    """`url` when it is a path of ours."""
    is_ours = url_has_allowed_host_and_scheme(
        url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return url if is_ours and url.startswith("/") else default


def limited(name: str, per_minute: int) -> Callable[[View], View]:
    """Let a view's POST run so often per minute and address, counted with the API's calls of the same name."""

    def decorate(view: View) -> View:
        @wraps(view)
        def run(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST":
                count, left = throttling.counter.hit(f"{name}:address:{counted_address(client_address(request))}")
                if count > per_minute:
                    context = {"seconds": max(1, -(-left // 1000))}
                    return render(request, "account/too_many.html", context, status=429)
            return view(request, *args, **kwargs)

        return run

    return decorate


def fresh(view: View) -> View:
    """Let a view run for a person who proved who they are within ten minutes; others do so first and come back."""

    @wraps(view)
    def run(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if step_up.is_fresh(request.principal):
            return view(request, *args, **kwargs)
        back = request.get_full_path() if request.method == "GET" else reverse("account")
        return redirect(reverse("confirm") + "?" + urlencode({"next": back}))

    return run


def said(refusal: Refusal) -> dict[str, Any]:
    """A refusal for a template: `problem` above the form, `problems` beside the fields."""
    if isinstance(refusal, InvalidInput):
        return {"problems": refusal.problems}
    details = refusal.details if isinstance(refusal.details, dict) else {}
    until = parse_datetime(str(details.get("lockedUntil", "")))
    return {"problem": refusal.message, "locked_until": until}
