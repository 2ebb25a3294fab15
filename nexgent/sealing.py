"""Secrets at rest that must be read again (not passwords): AES-256-GCM under a key derived from `SECRET_KEY`.

A dump of the database alone opens nothing; a changed `SECRET_KEY` makes what was sealed useless. `purpose` keeps the
keys of different kinds of secrets apart.
"""

import base64
import os
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_VERSION = "v1:"
_NONCE_BYTES = 12


class BrokenSeal(Exception):
    """What was sealed cannot be opened: `SECRET_KEY` has changed since, or somebody changed the text."""


@cache
def _cipher(secret: str, purpose: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, None, f"nexgent {purpose}".encode()).derive(secret.encode()))


def seal(text: str, *, purpose: str) -> str:
    """`text` as it may lie in the database."""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = nonce + _cipher(settings.SECRET_KEY, purpose).encrypt(nonce, text.encode(), None)
    return _VERSION + base64.b64encode(sealed).decode()


def unseal(sealed: str, *, purpose: str) -> str:
    """The text; raises `BrokenSeal`."""
    try:
        raw = base64.b64decode(sealed.removeprefix(_VERSION), validate=True)
        nonce, body = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
        return _cipher(settings.SECRET_KEY, purpose).decrypt(nonce, body, None).decode()
    except (InvalidTag, ValueError) as problem:
        raise BrokenSeal(purpose) from problem
