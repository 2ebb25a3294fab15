"""A small HTTP client for API tests: JSON in and out, a fresh network address where limits would interfere."""

import itertools
import json
from typing import Any

from django.test import Client

from nexgent.accounts import services
from nexgent.accounts.models import User

ADDRESSES = (f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in itertools.count(1))


class Api:
    """Django's test client with a bearer credential."""

    def __init__(self, token: str | None = None, *, address: str | None = None) -> None:
        self.client = Client(REMOTE_ADDR=address or next(ADDRESSES))
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, query: dict[str, Any] | None = None, **headers: str) -> Any:
        return self.client.get(path, query or {}, headers={**self.headers, **headers})

    def delete(self, path: str, **headers: str) -> Any:
        return self.client.delete(path, headers={**self.headers, **headers})

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("post", path, body, headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("put", path, body, headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self._send("patch", path, body, headers)

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        data = body if isinstance(body, str | bytes) else json.dumps({} if body is None else body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return getattr(self.client, method)(
            path, data, content_type="application/json", headers={**self.headers, **named}
        )


def sign_up(email: str, password: str = "Correct-Horse-9-Battery", *, is_superuser: bool = True) -> User:
    """A user with a personal workspace."""
    return services.user_create(email=email, password=password, is_superuser=is_superuser)


def signed_in(email: str) -> Api:
    """A client with a fresh access token of a new user."""
    from nexgent.accounts import tokens

    return Api(tokens.open_session(sign_up(email), remember_me=False, rotate=False).access)
