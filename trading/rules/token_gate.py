"""Facts about a token that an agent may insist on before it buys. What is not known counts as not given."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from trading.rules.policy import TokenGate


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What the feeds say about a token, and when they said it; None is unknown."""

    mint_authority_disabled: bool | None = None
    freeze_authority_disabled: bool | None = None
    is_flagged: bool | None = None
    at: datetime | None = None


def evaluate(gate: TokenGate, facts: TokenFacts, now: datetime) -> tuple[str, ...]:
    """All reasons (lower_snake) why the gate refuses the token, in check order; empty when it may be bought.

    `max_age_seconds` is the age of the facts themselves.
    """
    reasons: list[str] = []
    if gate.max_age_seconds is not None:
        if facts.at is None:
            reasons.append("token_facts_unknown")
        elif now - facts.at > timedelta(seconds=gate.max_age_seconds):
            reasons.append("token_facts_stale")
    if gate.require_mint_authority_disabled and not facts.mint_authority_disabled:
        reasons.append("mint_authority_unknown" if facts.mint_authority_disabled is None else "mint_authority_enabled")
    if gate.require_freeze_authority_disabled and not facts.freeze_authority_disabled:
        reasons.append(
            "freeze_authority_unknown" if facts.freeze_authority_disabled is None else "freeze_authority_enabled"
        )
    if gate.refuse_flagged and facts.is_flagged is not False:
        reasons.append("token_flag_unknown" if facts.is_flagged is None else "token_flagged")
    return tuple(reasons)
