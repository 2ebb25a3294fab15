"""Every failure as `{error, code, details, requestId}`, whichever layer it comes from.

`respond` is what the framework calls for an exception of an endpoint; the `handler*` functions are Django's for what
happens outside of one (unknown route, unexpected exception), where the request is one of the API (`is_api`). Pages have
their own (`nexgent.web.failures`).
"""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from psycopg_pool import PoolTimeout
from rest_framework import exceptions
from rest_framework.response import Response

from nexgent.api.rendering import dumps
from nexgent.errors import InvalidInput, Refusal, status_of

logger = logging.getLogger("nexgent.api")

LIFTED = {"RATE_LIMITED": "retryAfter", "ACCOUNT_LOCKED": "lockedUntil", "EXECUTION_FAILED": "orderId"}
"""Details that clients of the reference look for beside `error`."""

_FRAMEWORK_CODES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.ParseError, "VALIDATION_ERROR"),
    (exceptions.NotAuthenticated, "AUTHENTICATION_ERROR"),
    (exceptions.AuthenticationFailed, "AUTHENTICATION_ERROR"),
    (exceptions.PermissionDenied, "AUTHORIZATION_ERROR"),
    (exceptions.NotFound, "NOT_FOUND"),
    (exceptions.MethodNotAllowed, "METHOD_NOT_ALLOWED"),
    (exceptions.UnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE"),
    (exceptions.Throttled, "RATE_LIMITED"),
)


def body_of(code: str, message: str, details: Any, request_id: str) -> dict[str, Any]:
    """The wire shape of one failure."""
    body: dict[str, Any] = {"error": message, "code": code, "details": details, "requestId": request_id}
    if code == "VALIDATION_ERROR":
        body["success"] = False
    lifted = LIFTED.get(code)
    if lifted and isinstance(details, dict) and lifted in details:
        body[lifted] = details[lifted]
    return body


def of_refusal(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """The body of a refusal; `InvalidInput` keeps the reference's list of field errors."""
    details = refusal.details
    if isinstance(refusal, InvalidInput):
        details = {"errors": [{"field": field, "message": text} for field, text in refusal.problems.items()]}
    return body_of(refusal.code, refusal.message, details, request_id)


def respond(problem: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an exception of an endpoint; None (unexpected) lets Django log it and answer 500."""
    request_id = getattr(context["request"], "request_id", "")
    if isinstance(problem, Refusal):
        response = Response(of_refusal(problem, request_id), status=problem.status)
        if problem.status == 401:
            response["WWW-Authenticate"] = 'Bearer realm="api"'
        _add_headers(response, problem.code, problem.details)
        return response
    if isinstance(problem, Http404):
        problem = exceptions.NotFound()
    elif isinstance(problem, PermissionDenied):
        problem = exceptions.PermissionDenied()
    elif isinstance(problem, RequestDataTooBig):
        return Response(body_of("PAYLOAD_TOO_LARGE", "The body is larger than 1 MB.", None, request_id), status=413)
    elif isinstance(problem, OperationalError | InterfaceError | PoolTimeout):
        logger.error("database unavailable", exc_info=problem, extra={"request_id": request_id})
        return Response(
            body_of("DEPENDENCY_DOWN", "The database does not answer. Try again.", None, request_id),
            status=503,
            headers={"Retry-After": "1"},
        )
    if not isinstance(problem, exceptions.APIException):
        return None
    return _of_framework(problem, request_id)


def _of_framework(problem: exceptions.APIException, request_id: str) -> Response:
    code = next((code for kind, code in _FRAMEWORK_CODES if isinstance(problem, kind)), "ERROR")
    details: Any = None
    if isinstance(problem, exceptions.ParseError):
        details = {"errors": [{"field": "", "message": str(problem.detail)}]}
    elif isinstance(problem, exceptions.Throttled):
        details = {"retryAfter": problem.wait}
    message = "Too many requests." if isinstance(problem, exceptions.Throttled) else str(problem.detail)
    response = Response(body_of(code, message, details, request_id), status=problem.status_code)
    if isinstance(problem, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        response["WWW-Authenticate"] = getattr(problem, "auth_header", "") or 'Bearer realm="api"'
    _add_headers(response, code, details)
    return response


def _add_headers(response: Response, code: str, details: Any) -> None:
    if code == "RATE_LIMITED" and isinstance(details, dict) and details.get("retryAfter") is not None:
        response["Retry-After"] = str(details["retryAfter"])


def is_api(request: HttpRequest) -> bool:
    """Whether the answer is one of the API."""
    return request.path_info.startswith("/api/")


def _plain(request: HttpRequest, code: str, message: str, status: int) -> HttpResponse:
    body = body_of(code, message, None, getattr(request, "request_id", ""))
    return HttpResponse(dumps(body), status=status, content_type="application/json")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _plain(request, "VALIDATION_ERROR", "The request is not valid.", 400)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _plain(request, "AUTHORIZATION_ERROR", "Not allowed.", 403)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _plain(request, "NOT_FOUND", "Route not found.", status_of("NOT_FOUND"))


def handler500(request: HttpRequest) -> HttpResponse:
    return _plain(request, "INTERNAL_ERROR", "Something went wrong on our side.", 500)
