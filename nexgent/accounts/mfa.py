"""What allauth's second factors ask of this product: names on authenticators, and secrets encrypted at rest.

The key is derived from `SECRET_KEY`: a dump of the database alone opens nothing. A changed `SECRET_KEY` makes factors
useless; `manage.py forget_factors` takes them off a user.
"""

import base64
import os
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from nexgent.errors import Refusal

PRODUCT = "Nexgent"
_VERSION = "v1:"


@cache
def _cipher(secret: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, None, b"nexgent second factors").derive(secret.encode()))


class Adapter(DefaultMFAAdapter):
    """AES-256-GCM around secrets; the relying party is `PUBLIC_URL`, else the host that was asked."""

    def encrypt(self, text: str) -> str:
        nonce = os.urandom(12)
        sealed = nonce + _cipher(settings.SECRET_KEY).encrypt(nonce, text.encode(), None)
        return _VERSION + base64.b64encode(sealed).decode()

    def decrypt(self, encrypted_text: str) -> str:
        sealed = base64.b64decode(encrypted_text.removeprefix(_VERSION))
        try:
            return _cipher(settings.SECRET_KEY).decrypt(sealed[:12], sealed[12:], None).decode()
        except InvalidTag as problem:
            raise Refusal(
                "FACTOR_UNREADABLE", "SECRET_KEY has changed since this factor was set up; ask the operator."
            ) from problem

    def get_totp_issuer(self) -> str:
        return PRODUCT

    def get_totp_label(self, user: Any) -> str:
        return str(user.email)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        host = urlsplit(settings.PUBLIC_URL).hostname or context.request.get_host().partition(":")[0]
        return {"id": host, "name": PRODUCT}

    def get_public_key_credential_user_entity(self, user: Any) -> dict[str, Any]:
        return {"id": user.pk.hex.encode(), "display_name": user.email, "name": user.email}
