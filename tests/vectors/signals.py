"""Vector family of the signal intake. It runs in the database, because the duplicate rule lives there.

Django's models are imported when the vectors run: the runner reads this module before Django is set up.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from nexgent.errors import InvalidInput, Refusal

NEEDS_DATABASE = ("signal_request",)
START = datetime(2026, 1, 1, tzinfo=UTC)
STORED = ("token_address", "symbol", "signal_type", "activation_reason", "signal_strength", "source")


class _RolledBack(Exception):
    """Undoes what a vector wrote."""


def signal_request(vector: dict[str, Any]) -> dict[str, Any]:
    from django.db import transaction

    answers: list[dict[str, Any]] = []
    try:
        with transaction.atomic():
            answers.append(_in_a_fresh_workspace(vector["input"]))
            raise _RolledBack
    except _RolledBack:
        return answers[0]


def _in_a_fresh_workspace(given: dict[str, Any]) -> dict[str, Any]:
    from nexgent.accounts.models import User, Workspace

    user = User.objects.create(email="vectors@example.com")
    workspace = Workspace.objects.create(name="vectors")
    at = START
    if "prior_request_body" in given:
        _post(given["prior_request_body"], user, workspace, at)
        at += timedelta(seconds=given["seconds_since_prior"])
    return _post(given.get("request_body"), user, workspace, at)


def _post(body: Any, user: Any, workspace: Any, at: datetime) -> dict[str, Any]:
    from signals import services
    from signals.models import Signal

    try:
        signal = services.accept(workspace_id=workspace.id, user_id=user.id, data=body, received_at=at)
    except InvalidInput as refusal:
        return {"http_status": refusal.status, "error_code": None}
    except Refusal as refusal:
        return {"http_status": refusal.status, "error_code": refusal.code}
    signal = Signal.objects.get(id=signal.id)
    return {"http_status": 201, "stored": {name: getattr(signal, name) or None for name in STORED}}


FAMILIES: dict[str, Callable[[dict[str, Any]], Any]] = {"signal_request": signal_request}
