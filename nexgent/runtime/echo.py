"""`/webhooks/test`: shows what arrived, so that somebody who sets up a webhook sees what it sends.

Open to anybody and therefore not there in production. What proves who somebody is never comes back.
"""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.http import QueryDict
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent import clock
from nexgent.accounts.endpoints import Endpoint
from nexgent.api.openapi import describe
from nexgent.api.rendering import JsonParser
from nexgent.api.shapes import Object, Shape, Stamp
from nexgent.api.wire import number, stamp
from nexgent.errors import NotFound
from nexgent.runtime.redaction import Redactor

redactor = Redactor()


class EchoShape(Shape):
    success: bool
    message: str
    timestamp: Stamp
    headers: Object
    body: Any
    query: Object


class Echo(Endpoint):
    authentication_classes = ()
    is_public = True
    parser_classes = (JsonParser, FormParser)

    @describe(
        "testWebhook",
        "Show what a webhook sends (not in production)",
        tag="System",
        body=Any,
        example={"ticker": "BONKUSD", "price": 0.000021},
        answer=EchoShape,
    )
    def post(self, request: Request) -> Response:
        if settings.PRODUCTION:
            raise NotFound()
        return Response(
            {
                "success": True,
                "message": "Webhook received.",
                "timestamp": stamp(clock.now()),
                "headers": redactor.record({name.lower(): value for name, value in request.headers.items()}),
                "body": redactor.record(_plain(request.data)),
                "query": redactor.record(_plain(request.query_params)),
            }
        )


def _plain(data: Any) -> Any:
    """Form fields as texts, or lists of texts where a name came more than once; JSON with its numbers as they were."""
    if isinstance(data, QueryDict):
        return {name: values[0] if len(values) == 1 else values for name, values in data.lists()}
    if isinstance(data, dict):
        return {name: _plain(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    return number(data) if isinstance(data, Decimal) else data
