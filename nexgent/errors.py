"""One exception hierarchy for the whole product.

A domain function raises `Refusal(code, ...)`; the API renders it, the page shows it, the record stores it. The HTTP
status of a code stands in one table here, so that no caller guesses it from words.
"""

from typing import Any

# Codes whose status does not follow from their form (see `status_of`).
STATUS = {
    "VALIDATION_ERROR": 400,
    "TOO_MANY_HOOKS": 400,
    "TOO_MANY_INVITATIONS": 400,
    "TOO_MANY_KEYS": 400,
    "TOO_MANY_WEBHOOKS": 400,
    "AUTHENTICATION_ERROR": 401,
    "SECOND_FACTOR_REQUIRED": 401,
    "CODE_WRONG": 401,
    "SIGNATURE_REQUIRED": 401,
    "SIGNATURE_WRONG": 401,
    "SIGNATURE_EXPIRED": 401,
    "AUTHORIZATION_ERROR": 403,
    "PASSWORD_CHANGE_REQUIRED": 403,
    "STEP_UP_REQUIRED": 403,
    "ADDRESS_REFUSED": 403,
    "REGISTRATION_OFF": 403,
    "INVITE_INVALID": 403,
    "NOT_FOUND": 404,
    "SIGNAL_DUPLICATE": 409,
    "POSITION_EXISTS": 409,
    "POSITION_LOCKED": 409,
    "LEDGER_IMMUTABLE": 409,
    "CONFIG_VERSION_CONFLICT": 409,
    "OPEN_POSITIONS": 409,
    "WALLET_IN_USE": 409,
    "BALANCE_CHANGED": 409,
    "LAST_OWNER": 409,
    "ALREADY_MEMBER": 409,
    "MESSAGE_SEEN": 409,
    "FACTOR_EXISTS": 409,
    "NO_FACTOR": 409,
    "FACTOR_UNREADABLE": 409,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "ACCOUNT_LOCKED": 423,
    "RATE_LIMITED": 429,
    "TOO_MANY_CONNECTIONS": 429,
    "EXECUTION_FAILED": 502,
    "VENUE_UNAVAILABLE": 502,
    "VENUE_TIMEOUT": 504,
    "DEPENDENCY_DOWN": 503,
    "CHAIN_UNAVAILABLE": 503,
    "NO_ADMINISTRATOR": 503,
}


def status_of(code: str) -> int:
    """HTTP status of an error code; refusals of a trade that are not listed are 400."""
    if code in STATUS:
        return STATUS[code]
    if code.endswith("_NOT_FOUND"):
        return 404
    if code.endswith("_IN_PROGRESS"):
        return 409
    return 400


class NexgentError(Exception):
    """Base of every error the product raises on purpose."""


class Refusal(NexgentError):
    """A request that is refused: a stable code, a sentence for the user, details for a machine."""

    def __init__(self, code: str, message: str = "", *, details: Any = None) -> None:
        super().__init__(message or code.replace("_", " ").lower())
        self.code = code
        self.message = message or code.replace("_", " ").capitalize()
        self.details = details

    @property
    def status(self) -> int:
        return status_of(self.code)

    def forget_way(self) -> None:
        """Let go of the frames it came through: a refusal kept as an answer would keep them, and they it, for long."""
        self.__traceback__ = self.__context__ = self.__cause__ = None


class InvalidInput(Refusal):
    """Input that fails validation; `problems` maps a field path to its message."""

    def __init__(self, problems: dict[str, str], message: str = "The request is not valid.") -> None:
        super().__init__("VALIDATION_ERROR", message, details=problems)
        self.problems = problems


class NotFound(Refusal):
    """What does not exist, or what this user may not see: the same answer."""

    def __init__(self, what: str = "") -> None:
        code = f"{what.upper()}_NOT_FOUND" if what else "NOT_FOUND"
        name = "API key" if what == "api_key" else what.replace("_", " ").capitalize()
        super().__init__(code, f"{name or 'Object'} not found.")
