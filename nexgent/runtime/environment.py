"""What an operator may set: one typed record of environment variables, checked at start.

A wrong value ends the process with a sentence that names the variable, before anything is opened or written.
`.env.example` documents each variable; a test keeps that file and this record equal.
"""

import math
import os
import secrets
from collections import Counter
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from nexgent.runtime import mail

PROJECT_DIR = Path(__file__).resolve().parents[2]
SYSTEM_DATA_DIR = Path("/var/lib/nexgent")
SECRET_LENGTH_MIN = 32
SECRET_BITS_MIN = 100
KNOWN_SAMPLES = ("changeme", "change-me", "insecure", "example", "secret-key", "your-", "placeholder", "nexgent-dev")

Words = Annotated[tuple[str, ...], NoDecode]
"""A comma-separated list."""


def is_reachable_by_others(path: Path) -> bool:
    """Whether an unprivileged user may enter the directory: every existing part of its path is open to others."""
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents) if part.exists())


def default_data_dir() -> Path:
    """`.data` of the checkout; for root below a directory that PostgreSQL's user cannot enter, the system's place."""
    if os.geteuid() == 0 and not is_reachable_by_others(PROJECT_DIR):
        return SYSTEM_DATA_DIR
    return PROJECT_DIR / ".data"


def entropy_bits(secret: str) -> float:
    """Shannon entropy of a text in bits: how much its own letters surprise, times their number."""
    counts = Counter(secret).values()
    return -sum(count * math.log2(count / len(secret)) for count in counts)


def weakness(secret: str) -> str:
    """Why a text is no secret ("" when it is one): too short, a known sample, or too regular."""
    if len(secret) < SECRET_LENGTH_MIN:
        return f"has {len(secret)} characters, {SECRET_LENGTH_MIN} are needed"
    if any(sample in secret.lower() for sample in KNOWN_SAMPLES):
        return "is a known sample"
    if entropy_bits(secret) < SECRET_BITS_MIN or len(set(secret)) < 10:
        return "is too easy to guess"
    return ""


class Environment(BaseSettings):
    """Every variable, its type and the default that is right for most."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, frozen=True)

    nexgent_env: Literal["development", "production", "test"] = "development"
    nexgent_debug: bool = False
    secret_key: SecretStr = SecretStr("")
    jwt_secret: SecretStr = SecretStr("")
    database_url: SecretStr = SecretStr("")
    redis_url: SecretStr = SecretStr("")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    nexgent_data_dir: Path = Field(default_factory=default_data_dir)
    admin_email: str = "admin@localhost"
    admin_password: SecretStr = SecretStr("")
    registration: Literal["off", "invite", "open"] = "off"
    public_url: str = ""
    email_url: SecretStr = SecretStr("console://")
    trusted_proxies: Words = ()
    cors_origin: Words = ()
    ws_query_token: bool = True
    legacy_refresh: bool = True
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    metrics_token: SecretStr = SecretStr("")
    signal_rate: int = Field(120, ge=1)
    price_feeds: Words = ("jupiter", "dexscreener")
    jupiter_api_url: str = "https://api.jup.ag"
    jupiter_api_key: SecretStr = SecretStr("")
    jupiter_rate: int = Field(60, ge=1)
    pyth_api_url: str = "https://hermes.pyth.network"
    pyth_api_key: SecretStr = SecretStr("")
    pyth_rate: int = Field(60, ge=1)
    dexscreener_api_url: str = "https://api.dexscreener.com"
    dexscreener_rate: int = Field(300, ge=1)
    solana_rpc_url: Words = ("https://api.mainnet-beta.solana.com",)
    synthetic_seed: int = 7
    webhook_private_addresses: bool = False

    @field_validator("trusted_proxies", "cors_origin", "price_feeds", "solana_rpc_url", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("nexgent_data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for word in value:
            ip_network(word)
        return value

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, value: SecretStr) -> SecretStr:
        return _url(value, {"postgresql", "postgres"}, "postgresql://user:password@host:5432/name")

    @field_validator("redis_url")
    @classmethod
    def _valkey(cls, value: SecretStr) -> SecretStr:
        return _url(value, {"redis", "rediss", "unix"}, "redis://host:6379/0")

    @field_validator("email_url")
    @classmethod
    def _mail(cls, value: SecretStr) -> SecretStr:
        return _url(value, set(mail.SCHEMES), "smtp://user:password@host:587?from=nexgent@example.com")

    @field_validator("public_url", "jupiter_api_url", "pyth_api_url", "dexscreener_api_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        return _web_url(value)

    @field_validator("solana_rpc_url", "cors_origin")
    @classmethod
    def _web_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_web_url(word) for word in value)

    @model_validator(mode="after")
    def _production(self) -> "Environment":
        if self.nexgent_env != "production":
            return self
        if self.nexgent_debug:
            raise ValueError("NEXGENT_DEBUG must be off when NEXGENT_ENV is production: it shows settings to anyone")
        for name, value in (("SECRET_KEY", self.secret_key), ("JWT_SECRET", self.jwt_secret)):
            problem = weakness(value.get_secret_value()) if value else ""
            if problem:
                raise ValueError(f"{name} {problem}: unset it (one is generated) or take {_secret_hint()}")
        return self


def _secret_hint() -> str:
    return "the output of: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"


def _url(value: SecretStr, schemes: set[str], example: str) -> SecretStr:
    if value and urlsplit(value.get_secret_value()).scheme not in schemes:
        raise ValueError(f"not an address of the form {example}")
    return value


def _web_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in {"http", "https"} or not parts.hostname):
        raise ValueError("not an address that starts with http:// or https://")
    return value.rstrip("/")


def sentences(problem: ValidationError) -> str:
    """One line per wrong variable, each naming it and never repeating a secret's value."""
    lines = []
    for error in problem.errors(include_url=False, include_context=False):
        name = str(error["loc"][0]).upper() if error["loc"] else ""
        secret = name and Environment.model_fields[name.lower()].annotation is SecretStr
        given = f" (given: {error['input']!r})" if name and not secret else ""
        message = error["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {message}{given}" if name else message)
    return "\n".join(lines)


def load() -> Environment:
    """The checked environment; a `.env` file of the project counts except under test. Ends with a sentence."""
    env_file = None if os.environ.get("NEXGENT_ENV") == "test" else PROJECT_DIR / ".env"
    try:
        return Environment(_env_file=env_file)  # type: ignore[call-arg]
    except ValidationError as problem:
        raise SystemExit(f"The configuration is wrong.\n{sentences(problem)}") from None


def stored_secret(file: Path) -> str:
    """The secret kept in a file of mode 0600, generated the first time; two processes agree on one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
        draft = file.with_name(f"{file.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_urlsafe(48))
        try:
            os.link(draft, file)  # fails when another process was first: its secret counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text().strip()


def secret_values(environment: Environment) -> list[str]:
    """The secrets that were set, for the redaction of logs; addresses are left out (their passwords count alone)."""
    addresses = {"database_url", "redis_url", "email_url"}
    values = (getattr(environment, name) for name in Environment.model_fields if name not in addresses)
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr) and value]
