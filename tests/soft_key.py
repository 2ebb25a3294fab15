"""A passkey in software, for tests: it answers what a browser would ask an authenticator (P-256, ES256)."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256
from fido2.webauthn import Aaguid, AttestedCredentialData, AuthenticatorData

ORIGIN = "http://localhost"


class SoftKey:
    """A passkey in software: one P-256 credential that answers what a browser would ask it."""

    def __init__(self):
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.id, self.handle, self.count = b"soft-credential-1", b"", 0

    def made(self, options, *, origin=ORIGIN):
        """The credential that a browser gives for the options of a registration; attestation "none"."""
        options = options["publicKey"]
        self.handle = decoded(options["user"]["id"])
        public = ES256.from_cryptography_key(self.private.public_key())
        about = AttestedCredentialData.create(Aaguid.NONE, self.id, public)
        data = AuthenticatorData.create(hashlib.sha256(options["rp"]["id"].encode()).digest(), 0x45, 0, about)
        client = client_data("webauthn.create", options["challenge"], origin=origin)
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": bytes(data)})
        return self._answer({"clientDataJSON": encoded(client), "attestationObject": encoded(attestation)})

    def answered(self, options, *, origin=ORIGIN):
        """The credential that it gives for the options of a sign-in."""
        options = options["publicKey"]
        self.count += 1
        data = AuthenticatorData.create(hashlib.sha256(options["rpId"].encode()).digest(), 0x05, self.count)
        client = client_data("webauthn.get", options["challenge"], origin=origin)
        signature = self.private.sign(bytes(data) + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": encoded(client),
                "authenticatorData": encoded(bytes(data)),
                "signature": encoded(signature),
                "userHandle": encoded(self.handle),
            }
        )

    def _answer(self, response):
        return {
            "id": encoded(self.id),
            "rawId": encoded(self.id),
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {"credProps": {"rk": True}},
        }


def encoded(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def client_data(kind, challenge, *, origin=ORIGIN):
    return json.dumps({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}).encode()
