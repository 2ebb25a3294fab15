"""Where a request comes from, as the list of sessions shows it."""

from dataclasses import dataclass
from typing import Any

from nexgent.api.addresses import client_address

USER_AGENT_MAX = 300


@dataclass(frozen=True, slots=True)
class Client:
    """Address and program that open a session; empty when unknown."""

    address: str = ""
    user_agent: str = ""


def client_of(request: Any) -> Client:
    """Address and program of a request."""
    user_agent = request.META.get("HTTP_USER_AGENT", "").replace("\x00", "")  # which PostgreSQL cannot keep
    return Client(client_address(request)[:45], user_agent[:USER_AGENT_MAX])
