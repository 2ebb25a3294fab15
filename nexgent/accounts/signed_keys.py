"""Requests that a key signs: who reads its secret in a log or on the way can do nothing with it.

A key made with `requiresSignature` has a signing secret beside it, which never travels. Each of its requests carries
the signature of its method, its path with the query, its `Idempotency-Key`, and its body, is believed for five minutes,
and changes something once only: a second one is refused, or gets the answer that is kept under its key.
"""

import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from nexgent import clock
from nexgent.accounts.models import SeenSignature
from nexgent.accounts.principals import Principal
from nexgent.api import signatures
from nexgent.errors import Refusal
from nexgent.sealing import seal

PURPOSE = "api keys"
WINDOW_SECONDS = 300
_PREFIX = "nks_"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def secret_create() -> tuple[str, str]:
    """A new signing secret: as its owner gets it, this once, and as it is stored."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    return secret, seal(secret, purpose=PURPOSE)


def check(principal: Principal, request: Any) -> None:
    """Check the signature of a key's request, for keys that must sign; `request` is Django's own.

    Raises `Refusal` SIGNATURE_REQUIRED, SIGNATURE_WRONG, SIGNATURE_EXPIRED, and MESSAGE_SEEN for a second use by a
    method that changes something; where an `Idempotency-Key` keeps it from doing so, that answers.
    """
    if not principal.signing_secret or principal.key_id is None:
        return
    header = request.headers.get(signatures.HEADER)
    if header is None:
        raise Refusal("SIGNATURE_REQUIRED", f"This API key signs its requests: send the header {signatures.HEADER}.")
    key, query = request.headers.get("Idempotency-Key", ""), request.META.get("QUERY_STRING", "")
    signature = signatures.believed(
        header,
        signatures.of_request(request.method, request.path, query, request.body, key=key),
        sealed=principal.signing_secret,
        purpose=PURPOSE,
        received_at=clock.now(),
        window_seconds=WINDOW_SECONDS,
    )
    if request.method not in _SAFE and not _take(principal.key_id, signature) and not (key and _keeps_keys(request)):
        raise Refusal("MESSAGE_SEEN", "This very request was taken before; sign it anew to repeat it.")


def sweep(*, now: datetime) -> int:
    """Forget signatures that are too old to be believed again; returns how many."""
    return SeenSignature.objects.filter(good_until__lt=now).delete()[0]


def _take(key_id: UUID, signature: signatures.Signature) -> bool:
    """Whether this is the first time that the signature is seen."""
    good_until = datetime.fromtimestamp(signature.at + WINDOW_SECONDS, UTC)
    try:
        with transaction.atomic():
            SeenSignature.objects.create(key_id=key_id, code=signature.code, good_until=good_until)
    except IntegrityError:
        return False
    return True


def _keeps_keys(request: Any) -> bool:
    """Whether what is asked takes an `Idempotency-Key`: elsewhere the header is no hindrance to doing it twice."""
    endpoint = getattr(request.resolver_match.func, "view_class", None)
    operation = getattr(getattr(endpoint, request.method.lower(), None), "operation", None)
    return operation is not None and bool(operation.is_idempotent)
