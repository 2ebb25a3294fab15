"""Settings: one typed module. Values come from the environment, are checked at start, and fail with a sentence."""

import hashlib
import os
import secrets
import sys
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic_settings import BaseSettings, SettingsConfigDict

from nexgent.runtime.embedded import EmbeddedServers

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(BaseSettings):
    """What an operator may set; `.env.example` documents each."""

    model_config = SettingsConfigDict(env_file=BASE_DIR / ".env", extra="ignore")

    nexgent_env: Literal["development", "production", "test"] = "development"
    secret_key: str = ""
    database_url: str = ""
    redis_url: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    nexgent_data_dir: Path = BASE_DIR / ".data"
    log_level: str = "INFO"
    public_url: str = ""
    price_feeds: str = "jupiter,dexscreener"
    jupiter_api_url: str = "https://api.jup.ag"
    jupiter_api_key: str = ""
    jupiter_rate: int = 60
    pyth_api_url: str = "https://hermes.pyth.network"
    pyth_api_key: str = ""
    dexscreener_api_url: str = "https://api.dexscreener.com"
    dexscreener_rate: int = 300
    pyth_rate: int = 60
    synthetic_seed: int = 7
    signal_rate: int = 120


ENV = Environment()
DATA_DIR = ENV.nexgent_data_dir


def _process_kind() -> str:
    """Which process this is (web, exits, entries, prices, default, beat, command): decides the connection pool."""
    words = sys.argv
    if "beat" in words and "celery" in words[0]:
        return "beat"
    if "worker" in words and "celery" in words[0]:
        return words[words.index("-Q") + 1] if "-Q" in words else "default"
    return "web" if "web" in words else "command"


PROCESS = os.environ.get("NEXGENT_PROCESS") or _process_kind()
POOL_SIZE = {"web": 8, "exits": 9, "entries": 9, "prices": 6, "default": 4, "beat": 2}.get(PROCESS, 4)

_servers = EmbeddedServers(DATA_DIR)
DATABASE_URL = ENV.database_url or _servers.database_url
REDIS_URL = ENV.redis_url or _servers.redis_url


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **query,
            "options": "-c lock_timeout=2s -c statement_timeout=30s",
            **({} if PROCESS == "command" else {"pool": {"min_size": 1, "max_size": POOL_SIZE, "timeout": 10}}),
        },
    }


DATABASES = {"default": _database(DATABASE_URL)}


def _secret_key() -> str:
    if ENV.secret_key:
        return ENV.secret_key
    file = DATA_DIR / "secret.key"
    if not file.exists():
        DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o711)
        file.write_text(secrets.token_urlsafe(48))
        file.chmod(0o600)
    return file.read_text()


SECRET_KEY = _secret_key()
JWT_SIGNING_KEY = os.environ.get("JWT_SECRET") or hashlib.sha256(b"jwt:" + SECRET_KEY.encode()).hexdigest()
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]

INSTALLED_APPS = [
    "daphne",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_htmx",
    "django_celery_beat",
    "nexgent.accounts",
    "nexgent.api",
    "nexgent.events",
    "nexgent.runtime",
    "nexgent.web",
    "prices",
    "wallets",
    "agents",
    "trading",
    "signals",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "nexgent.urls"
ASGI_APPLICATION = "nexgent.asgi.application"
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
CHANNEL_LAYERS = {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}}

TASK_APPLICATION = "nexgent.celery.app"  # by name: the layers below may not import it
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 120}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {}

# Where prices go after the engine had them: "thread" (coalesced in the background), "inline" or "off" (tests, replays).
PRICES_WRITER = os.environ.get("PRICES_WRITER", "inline" if ENV.nexgent_env == "test" else "thread")
# Tests name their own feeds (loopback servers); nothing is asked of the outside by default there.
PRICE_FEEDS = () if ENV.nexgent_env == "test" else tuple(name.strip() for name in ENV.price_feeds.split(",") if name.strip())
JUPITER_API_URL, JUPITER_API_KEY, JUPITER_RATE = ENV.jupiter_api_url, ENV.jupiter_api_key, ENV.jupiter_rate
DEXSCREENER_API_URL, DEXSCREENER_RATE = ENV.dexscreener_api_url, ENV.dexscreener_rate
PYTH_API_URL, PYTH_API_KEY, PYTH_RATE = ENV.pyth_api_url, ENV.pyth_api_key, ENV.pyth_rate
SYNTHETIC_SEED = ENV.synthetic_seed

USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REST_FRAMEWORK: dict[str, object] = {"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"level": ENV.log_level, "handlers": ["console"]},
}
