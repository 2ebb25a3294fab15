"""A fresh proof for what moves money: password, or second factor where there is one, within the last ten minutes.

Signing in is a proof. Sessions of pages and tokens carry the time of the last one; keys have none and may not do what
asks for it.
"""

from datetime import timedelta
from typing import Any

from rest_framework.request import Request

from nexgent import clock
from nexgent.accounts.models import Role, TokenSession
from nexgent.accounts.principals import Principal
from nexgent.accounts.session_store import PROVED
from nexgent.errors import Refusal

FRESH = timedelta(minutes=10)


def is_fresh(principal: Principal) -> bool:
    """Whether the person gave a proof within the last ten minutes."""
    return principal.proved_at is not None and clock.now() - principal.proved_at < FRESH


def require(principal: Principal) -> None:
    """Raises `Refusal` STEP_UP_REQUIRED without a fresh proof."""
    if not is_fresh(principal):
        raise Refusal(
            "STEP_UP_REQUIRED",
            "Confirm that it is you: POST /auth/step-up with your password, or a code of your second factor.",
        )


def record_token(principal: Principal) -> None:
    """The person of a token has just proved who they are."""
    TokenSession.objects.filter(id=principal.session_id).update(proved_at=clock.now())


def record_page(session: Any) -> None:
    """The person of a page session has just proved who they are."""
    session[PROVED] = clock.now().isoformat()


def always(_request: Request) -> bool:
    """For `Endpoint.step_up`: every call of this method asks for a fresh proof."""
    return True


def lets_trade(request: Request) -> bool:
    """For `Endpoint.step_up` of members and invitations: asked for when the body gives a role that trades or owns."""
    body = request.data if isinstance(request.data, dict) else {}
    return body.get("role") in (Role.TRADER, Role.OWNER)


def turns_live(request: Request) -> bool:
    """For `Endpoint.step_up` of agents: asked for when the body turns real trading on."""
    body = request.data if isinstance(request.data, dict) else {}
    return body.get("tradingMode") == "live" or body.get("automatedTradingLive") is True
