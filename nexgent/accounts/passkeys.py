"""Passkeys registered over REST: an offer and its answer, without the session that pages keep the challenge in.

The ceremony is allauth's, which looks for the challenge in the session of the request. It is put there for the call
alone, and waits in Valkey between the two: for its user, five minutes, once.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

import orjson
import redis
from allauth.mfa.webauthn.internal import auth as webauthn

from nexgent.accounts import factors
from nexgent.accounts.models import User
from nexgent.errors import InvalidInput, Refusal
from nexgent.events import bell

CHALLENGE_SECONDS = 300
_PREFIX = "nexgent:passkey:"
_AWAY = "Passkeys cannot be added at the moment."


@dataclass(frozen=True, slots=True)
class Offer:
    """What a program's authenticator is asked, and the name under which the answer comes back."""

    challenge_id: str
    options: dict[str, Any]


def offer(user: User) -> Offer:
    """A challenge for a new passkey. Raises `Refusal`: FACTOR_EXISTS (too many), DEPENDENCY_DOWN without Valkey."""
    try:
        options = json.loads(json.dumps(factors.passkey_offer(user)["publicKey"]))
        state = json.dumps(webauthn.get_state())
    finally:
        webauthn.clear_state()
    challenge_id = secrets.token_urlsafe(32)
    try:
        with bell.connect() as valkey:
            valkey.set(_key(user, challenge_id), state, ex=CHALLENGE_SECONDS)
    except redis.RedisError as error:
        raise Refusal("DEPENDENCY_DOWN", _AWAY) from error
    return Offer(challenge_id, options)


def add(user: User, *, challenge_id: str, name: str, credential: dict[str, Any]) -> list[str]:
    """Add the passkey that answered the challenge; returns recovery codes when these are the first.

    The challenge is spent by asking. Raises `InvalidInput` for a challenge that is not this user's, was used or has
    expired, and for a credential that is no answer to it; `Refusal` DEPENDENCY_DOWN.
    """
    webauthn.set_state(_spent(user, challenge_id))
    try:
        return factors.passkey_add(user, name=name, credential=credential)
    except Refusal as refusal:
        if refusal.code != "CODE_WRONG":
            raise
        raise InvalidInput({"credential": "is no answer to this challenge"}) from refusal
    finally:
        webauthn.clear_state()


def _spent(user: User, challenge_id: str) -> dict[str, Any]:
    try:
        with bell.connect() as valkey:
            state: Any = valkey.getdel(_key(user, challenge_id))
    except redis.RedisError as error:
        raise Refusal("DEPENDENCY_DOWN", _AWAY) from error
    if state is None:
        raise InvalidInput({"challengeId": "was used already or has expired"})
    found: dict[str, Any] = orjson.loads(state)
    return found


def _key(user: User, challenge_id: str) -> str:
    return f"{_PREFIX}{user.pk}:{hashlib.sha256(challenge_id.encode()).hexdigest()}"
