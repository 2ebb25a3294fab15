"""What allauth's second factors ask of this product: names on authenticators, and secrets encrypted at rest.

The key is derived from `SECRET_KEY`: a dump of the database alone opens nothing. A changed `SECRET_KEY` makes factors
useless; `manage.py forget_factors` takes them off a user.
"""

from typing import Any
from urllib.parse import urlsplit

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings

from nexgent.errors import Refusal
from nexgent.sealing import BrokenSeal, seal, unseal

PRODUCT = "Nexgent"
PURPOSE = "second factors"


class Adapter(DefaultMFAAdapter):
    """Secrets are sealed; the relying party is `PUBLIC_URL`, else the host that was asked."""

    def encrypt(self, text: str) -> str:
        return seal(text, purpose=PURPOSE)

    def decrypt(self, encrypted_text: str) -> str:
        try:
            return unseal(encrypted_text, purpose=PURPOSE)
        except BrokenSeal as problem:
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
