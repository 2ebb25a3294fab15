"""`/openapi.json` and `/docs`: the API's own description, for programs and for people. Public, and cached by tag."""

import functools

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from nexgent.api import reference
from nexgent.api.document import served
from nexgent.api.openapi import describe
from nexgent.api.shapes import Object

AGE_SECONDS = 300


@describe(
    "getOpenApi",
    "This text",
    tag="Description",
    answer=Object,
    answer_example={"openapi": "3.1.0", "info": {"title": "Nexgent", "version": "1"}, "paths": {}},
    public=True,
    answer_headers=("ETag",),
)
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI text; 304 for who has it."""
    body, tag = served()
    is_known = tag in request.headers.get("If-None-Match", "")
    response = HttpResponseNotModified() if is_known else HttpResponse(body, content_type="application/json")
    response["ETag"] = tag
    response["Cache-Control"] = f"public, max-age={AGE_SECONDS}"
    return response


@describe("getDocs", "The same as a page", tag="Description", answer=str, produces="text/html", public=True)
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Everything on one page, to read and to search."""
    shown = {"entries": reference.entries(), "operations": _operations()}
    return render(request, "pages/reference.html", shown)


@functools.cache
def _operations() -> str:
    """The long part of the page: the same for everybody, so made once per process."""
    return render_to_string("components/operations.html", {"entries": reference.entries()})
