"""How many of a thing a workspace may have, counted under a lock on its row: many at once stay within it."""

from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from nexgent.errors import Refusal


def admit(rows: QuerySet[Any], *, workspace_id: UUID, most: int, code: str, things: str) -> None:
    """Let the caller's transaction add one more to `rows`, of which a workspace has `most`. Raises `Refusal` `code`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM accounts_workspace WHERE id = %s FOR NO KEY UPDATE", [workspace_id])
    if rows.filter(workspace_id=workspace_id).count() >= most:
        raise Refusal(code, f"A workspace has at most {most} {things}.")
