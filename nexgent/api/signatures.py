"""Signed messages, ours and those sent to us, and signed requests: HMAC-SHA256 over the time and the body.

The header is `t=<unix seconds>,v1=<hex>`; what is signed is `<t>.<body>`. A receiver compares in constant time and
refuses a time that is too far from its own, so that a message that somebody recorded is good for minutes only.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime

from django.utils.encoding import escape_uri_path

from nexgent.errors import Refusal
from nexgent.sealing import BrokenSeal, unseal

HEADER = "Nexgent-Signature"
_FORM = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of a message: when it was made (unix seconds) and the code."""

    at: int
    code: str

    def __str__(self) -> str:
        return f"t={self.at},v1={self.code}"

    def is_of(self, body: bytes, *, secret: str) -> bool:
        """Whether this is the signature of `body`; in constant time."""
        return hmac.compare_digest(self.code, sign(body, secret=secret, at=self.at).code)


def sign(body: bytes, *, secret: str, at: int) -> Signature:
    """The signature of `body` made at `at` (unix seconds)."""
    code = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return Signature(at, code)


def of_request(method: str, path: str, query: str, body: bytes, *, key: str = "") -> bytes:
    """What is signed of a request: `<METHOD> <path>[?<query>][ <Idempotency-Key>]`, a line feed, the body; all as they
    travel.
    """
    words = [method, escape_uri_path(path) + (f"?{query}" if query else ""), *([key] if key else [])]
    return f"{' '.join(words)}\n".encode() + body


def parse(header: str) -> Signature | None:
    """The signature of a header's text; None when it has another form."""
    found = _FORM.fullmatch(header.strip().replace(", ", ","))
    return None if found is None else Signature(int(found[1]), found[2])


def believed(
    header: str, message: bytes, *, sealed: str, purpose: str, received_at: datetime, window_seconds: int
) -> Signature:
    """The signature in `header`, when it is of `message`, made with the sealed secret, no more than `window_seconds`
    from `received_at`.

    Raises `Refusal` SIGNATURE_WRONG, SIGNATURE_EXPIRED.
    """
    signature = parse(header)
    try:
        secret = unseal(sealed, purpose=purpose)
    except BrokenSeal as problem:
        raise Refusal("SIGNATURE_WRONG", "SECRET_KEY has changed since this secret was made; rotate it.") from problem
    if signature is None or not signature.is_of(message, secret=secret):
        raise Refusal("SIGNATURE_WRONG", f"The header {HEADER} is missing or does not fit what was sent.")
    if abs(received_at.timestamp() - signature.at) > window_seconds:
        raise Refusal("SIGNATURE_EXPIRED", f"This was not signed within {window_seconds} s of now.")
    return signature
