"""Where letters leave: `EMAIL_URL` as Django's settings. Without one they are printed where the processes log.

`smtp://user:password@host:587` (STARTTLS, unless `?tls=off`), `smtps://host:465`, `console://`, `file:///directory`;
`?from=` is the sender.
"""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES = ("smtp", "smtps", "console", "file")
TIMEOUT_SECONDS = 10
_PORTS = {"smtp": 587, "smtps": 465}


def settings_of(url: str, *, host: str) -> dict[str, Any]:
    """Django's EMAIL_* settings; `host` names the sender's domain when `?from=` does not."""
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    sender = {"DEFAULT_FROM_EMAIL": query.get("from") or f"nexgent@{host or 'localhost'}"}
    if parts.scheme == "console":
        return {**sender, "EMAIL_BACKEND": "nexgent.runtime.mail_console.EmailBackend"}
    if parts.scheme == "file":
        backend = "django.core.mail.backends.filebased.EmailBackend"
        return {**sender, "EMAIL_BACKEND": backend, "EMAIL_FILE_PATH": unquote(parts.path)}
    return {
        **sender,
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname or "localhost",
        "EMAIL_PORT": parts.port or _PORTS[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp" and query.get("tls") != "off",
        "EMAIL_TIMEOUT": TIMEOUT_SECONDS,
    }
