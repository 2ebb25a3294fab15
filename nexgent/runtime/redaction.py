"""Takes secrets out of whatever is about to be written to a log.

Works on finished text and on records, so that a secret in a message, a field, an address, a header or a traceback is
treated alike. What cannot be told by its form (a key of 32 random characters) is told by the name it stands beside, or
by being one of the values this process was configured with.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "[redacted]"

_NAME = (
    r"(?:[\w.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|mnemonic|ticket|credential|cookie"
    r"|csrf|sessionid|authorization))"
)
_SAFE_NAMES = re.compile(
    r"^(token_?(address|symbol|mint|id|program|name|type)|tokens|(in|out)put_?token|must_change_password)$", re.I
)
_SECRET_NAME = re.compile(rf"^{_NAME}s?$", re.I)
_PATTERNS = (
    # JSON web tokens, API keys of ours and what they sign with, wherever they stand
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\bn(?:ex|ks)_[\w-]{28,48}"), HIDDEN),
    # Authorization headers
    (re.compile(r"\b(Bearer|Basic|Token)\s+[\w.~+/=-]{6,}", re.I), rf"\1 {HIDDEN}"),
    # user:password@ of an address
    (re.compile(r"(\w+://[^\s:/@]*):[^\s@]+@"), rf"\1:{HIDDEN}@"),
    # links that were mailed, and addresses that are secrets themselves
    (re.compile(r"(/(?:invitation|reset|email|hooks?|incoming)/)(?!new\b)[\w-]{16,}"), rf"\1{HIDDEN}"),
    # 64 bytes of a key pair as numbers
    (re.compile(r"\[\s*(?:\d{1,3}\s*,\s*){31,63}\d{1,3}\s*\]"), HIDDEN),
)
# name=value, "name": "value", name: value
_PAIR = re.compile(
    rf"""(?P<lead>["']?(?P<name>\b{_NAME}s?)["']?\s*[=:]\s*(?:b(?=["']))?)"""
    r"""(?P<quote>["']?)(?!\[redacted)(?P<value>[^\s"'&,;}\])]+)""",
    re.I,
)
_BASE58_KEYPAIR = re.compile(r"\b[1-9A-HJ-NP-Za-km-z]{86,88}\b")


class Redactor:
    """Replaces secrets by "[redacted]"; `secrets` are exact values that must never be seen."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = sorted({value for value in secrets if len(value) >= 6}, key=len, reverse=True)
        self._exact = re.compile("|".join(map(re.escape, values))) if values else None

    def text(self, text: str) -> str:
        """The text without its secrets."""
        if self._exact is not None:
            text = self._exact.sub(HIDDEN, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        text = _PAIR.sub(_hide_value, text)
        return _BASE58_KEYPAIR.sub(_hide_keypair, text)

    def record(self, value: Any, name: str = "") -> Any:
        """The value without its secrets; mappings and sequences are followed, a secret name hides its whole value."""
        if name and is_secret_name(name) and value not in (None, "", True, False):
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self.record(item, str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            whole = self.text(str(value)) if len(value) in (32, 64) else ""
            return HIDDEN if whole == HIDDEN else [self.record(item) for item in value]
        return value


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret ("tokenAddress" does not, "refreshToken" does)."""
    return bool(_SECRET_NAME.match(name)) and not _SAFE_NAMES.match(name)


def _hide_value(match: re.Match[str]) -> str:
    if _SAFE_NAMES.match(match["name"]):
        return match[0]
    return f"{match['lead']}{match['quote']}{HIDDEN}"


def _hide_keypair(match: re.Match[str]) -> str:
    """A secret key and a transaction signature look alike; only a key pair's second half follows from its first."""
    from solders.keypair import Keypair

    try:
        Keypair.from_base58_string(match[0])
    except ValueError:
        return match[0]
    return HIDDEN
