"""People, workspaces and clients that the tests of security share."""

from typing import Any
from uuid import UUID

from django.test import Client

from nexgent.accounts import tokens
from nexgent.accounts.models import Membership, Role, User
from tests.integration.api_client import Api, sign_up

PASSWORD = "Correct-Horse-9-Battery"


def client_of(user: User, **headers: str) -> Api:
    """An API client with a fresh access token."""
    api = Api(tokens.open_session(user, remember_me=False, rotate=False).access)
    api.headers |= headers
    return api


def browser_of(user: User) -> Client:
    """A signed-in browser, without CSRF checks."""
    client = Client()
    client.force_login(user, backend="nexgent.accounts.authentication.EmailBackend")
    return client


def member_of(workspace_id: UUID, email: str, role: str = Role.TRADER, **fields: Any) -> User:
    """A person whose only workspace is this one."""
    user = sign_up(email, is_superuser=False)
    user.memberships.all().delete()
    Membership.objects.create(workspace_id=workspace_id, user=user, role=role, **fields)
    return user


def workspace_of(user: User) -> UUID:
    """The user's first workspace."""
    return user.memberships.order_by("id").values_list("workspace_id", flat=True)[0]
