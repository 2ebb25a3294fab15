"""`/auth/factors/passkeys`: a passkey registered by a program, in two calls. List, name and removal: the factors'."""

from typing import Any

from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from nexgent.accounts import factors, passkeys, step_up
from nexgent.accounts.endpoints import Endpoint
from nexgent.accounts.models import Role
from nexgent.accounts.shapes import PasskeyOfferShape, RecoveryCodesShape
from nexgent.api.bodies import Body, read
from nexgent.api.openapi import describe

TAG = "Sign-in"


class PasskeyBody(Body):
    challenge_id: str = Field(min_length=1, max_length=100)
    name: str = Field(default="", max_length=factors.NAME_MAX)
    credential: dict[str, Any] = Field(description="What `navigator.credentials.create` gave, as JSON.")


class PasskeyOffer(Endpoint):
    roles = {"POST": Role.VIEWER}
    step_up = {"POST": step_up.always}

    @describe(
        "offerPasskey",
        "A challenge for a new passkey",
        tag=TAG,
        description="`publicKey` is what `navigator.credentials.create` takes, binary values as base64url. Good once, "
        "for five minutes, for this person; the passkey is bound to the host of `PUBLIC_URL`.",
        answer=PasskeyOfferShape,
        refusals=("STEP_UP_REQUIRED", "FACTOR_EXISTS", "DEPENDENCY_DOWN"),
    )
    def post(self, request: Request) -> Response:
        found = passkeys.offer(request.principal.user)
        answer = {
            "challengeId": found.challenge_id,
            "expiresIn": passkeys.CHALLENGE_SECONDS,
            "publicKey": found.options,
        }
        return Response(answer)


class Passkeys(Endpoint):
    roles = {"POST": Role.VIEWER}
    step_up = {"POST": step_up.always}

    @describe(
        "addPasskey",
        "Add the passkey that answered the challenge",
        tag=TAG,
        body=PasskeyBody,
        example={
            "challengeId": "what-the-offer-says",
            "name": "Laptop",
            "credential": {
                "id": "AQIDBA",
                "rawId": "AQIDBA",
                "type": "public-key",
                "response": {"clientDataJSON": "e30", "attestationObject": "o2NmbXQ"},
            },
        },
        answer=RecoveryCodesShape,
        status=201,
        refusals=("STEP_UP_REQUIRED", "FACTOR_EXISTS", "DEPENDENCY_DOWN"),
    )
    def post(self, request: Request) -> Response:
        body = read(PasskeyBody, request.data)
        codes = passkeys.add(
            request.principal.user, challenge_id=body.challenge_id, name=body.name, credential=body.credential
        )
        return Response({"recoveryCodes": codes}, status=201)
