"""Django's settings. What an operator may set comes from the environment; `nexgent.runtime.environment` checks it."""

import hashlib
import json
import os
import sys
from urllib.parse import parse_qs, unquote, urlsplit

from celery.schedules import crontab

from nexgent.runtime import environment, logs, mail, processes
from nexgent.runtime.embedded import EmbeddedServers
from nexgent.runtime.postgresql.pooled import PooledConnection

BASE_DIR = environment.PROJECT_DIR
ENV = environment.load()
DATA_DIR = ENV.nexgent_data_dir
PRODUCTION = ENV.nexgent_env == "production"
PROCESS = os.environ.get("NEXGENT_PROCESS") or processes.kind_of(sys.argv)

# --- PostgreSQL and Valkey -------------------------------------------------------------------------------------------

_servers = EmbeddedServers(DATA_DIR)
DATABASE_URL = ENV.database_url.get_secret_value() or _servers.database_url
REDIS_URL = ENV.redis_url.get_secret_value() or _servers.redis_url

# Connections of a process's pool, from which its threads take theirs; the session that holds a lock (exits, prices,
# beat) is one more. CONN_MAX_AGE beside it would leak under ASGI, CELERY_DB_REUSE_MAX would starve it.
POOL_SIZE = {"web": 8, "exits": 8 + 1, "entries": 8 + 1, "prices": 4 + 2, "default": 4, "beat": 2}
STATEMENT_TIMEOUT_S = 30
LOCK_TIMEOUT_S = 2
# As long as a lease: what a frozen process has locked in the middle of a transaction is free when its orders are, too.
# A test may have one transaction for as long as it takes.
IDLE_TRANSACTION_TIMEOUT_S = 0 if ENV.nexgent_env == "test" else 10


def _database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    # Pages lie in memory or on flash. At the default of 4 a list read a small table whole for each of its rows.
    planned = " -c random_page_cost=1.1" if PROCESS == "web" else ""
    options: dict[str, object] = {
        **{key: value for key, value in query.items() if key != "host"},
        "options": f"-c lock_timeout={LOCK_TIMEOUT_S}s -c statement_timeout={STATEMENT_TIMEOUT_S}s"
        f" -c idle_in_transaction_session_timeout={IDLE_TRANSACTION_TIMEOUT_S}s{planned}",
        "application_name": f"nexgent {PROCESS}",
        "connect_timeout": 5,
        # What `nexgent.rows.execute` sends is prepared once per connection; Django's own statements never are.
        "prepare_threshold": 5,
    }
    if PROCESS in POOL_SIZE:
        # A pool that cannot connect tries for a few seconds and then anew with the next asker: its pauses double, and
        # after a long outage the last one would outlast the server's return by half a minute.
        size = {"min_size": 1, "max_size": POOL_SIZE[PROCESS]}
        options["pool"] = {**size, "timeout": 10, "reconnect_timeout": 3, "connection_class": PooledConnection}
    return {
        "ENGINE": "nexgent.runtime.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host", "") or unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        # Without a check a restarted PostgreSQL costs answers of status 500; pooled connections are looked at by
        # `nexgent.runtime.postgresql`, which costs no round trip.
        "CONN_HEALTH_CHECKS": PROCESS not in POOL_SIZE,
        "OPTIONS": options,
    }


DATABASES = {"default": _database(DATABASE_URL)}
# The pub/sub layer: the other one drops idle sockets after 5 s and runs out of connections at 100.
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
}

# --- Secrets, hosts, sessions ----------------------------------------------------------------------------------------

SECRET_KEY = ENV.secret_key.get_secret_value() or environment.stored_secret(DATA_DIR / "secret.key")
JWT_SIGNING_KEY = ENV.jwt_secret.get_secret_value() or hashlib.sha256(b"jwt:" + SECRET_KEY.encode()).hexdigest()
DEBUG = ENV.nexgent_debug

PUBLIC_URL = ENV.public_url
_public = urlsplit(PUBLIC_URL)
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS += [host for host in (_public.hostname, ENV.host) if host and host not in {"0.0.0.0", "::"}]  # noqa: S104
CSRF_FAILURE_VIEW = "nexgent.web.failures.csrf_failure"
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"] if PUBLIC_URL else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public.scheme == "https"
SESSION_COOKIE_NAME = "nexgent_session"
SESSION_ENGINE = "nexgent.accounts.session_store"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
TRUSTED_PROXIES = ENV.trusted_proxies
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CORS_ORIGIN = ENV.cors_origin
REGISTRATION = ENV.registration
MAIL_URL = ENV.email_url.get_secret_value()
globals().update(mail.settings_of(MAIL_URL, host=_public.hostname or ""))  # EMAIL_*
WS_QUERY_TOKEN, LEGACY_REFRESH = ENV.ws_query_token, ENV.legacy_refresh
SIGNAL_RATE = ENV.signal_rate
METRICS_TOKEN = ENV.metrics_token.get_secret_value()
REQUIRE_ADMINISTRATOR = ENV.nexgent_env != "test"

# --- Applications ----------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
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
    "allauth.account",  # the second factors below rest on it; its own pages are not routed
    "allauth.mfa",
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
    "nexgent.api.middleware.RequestId",
    "nexgent.accounts.audit.Audited",
    "nexgent.web.security.Headers",
    "django.middleware.security.SecurityMiddleware",
    "nexgent.api.cors.Cors",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "nexgent.runtime.middleware.RequestsCounted",
    "nexgent.web.security.ContentPolicy",
    "nexgent.runtime.middleware.AdministratorRequired",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "nexgent.accounts.sessions.SessionSeen",
    "nexgent.web.access.OwnPassword",
    "nexgent.web.access.AdminActions",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "nexgent.api.caching.ListTags",
]
ROOT_URLCONF = "nexgent.urls"
ASGI_APPLICATION = "nexgent.asgi.application"
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL, LOGIN_REDIRECT_URL = "sign_in", "portfolio"
AUTHENTICATION_BACKENDS = ["nexgent.accounts.authentication.EmailBackend"]
# Second factors: their tables and cryptography are allauth's, flows and pages ours (`nexgent.accounts.factors`).
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
MFA_ADAPTER = "nexgent.accounts.mfa.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_TOLERANCE = 1
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
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
REST_FRAMEWORK: dict[str, object] = {
    "DEFAULT_RENDERER_CLASSES": ["nexgent.api.rendering.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["nexgent.api.rendering.JsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "nexgent.api.rendering.OneFormat",
    "DEFAULT_AUTHENTICATION_CLASSES": ["nexgent.accounts.authentication.Credentials"],
    "DEFAULT_PERMISSION_CLASSES": ["nexgent.accounts.permissions.Allowed"],
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "nexgent.api.errors.respond",
}
SPECTACULAR_SETTINGS: dict[str, object] = {
    "OAS_VERSION": "3.1.1",
    "TITLE": "Nexgent",
    "VERSION": "1",
    "DESCRIPTION": "Autonomous trading on Solana, on a machine of one's own. See docs/api.md for the ways of this API.",
    "SERVERS": [{"url": "/"}],
    "SORT_OPERATIONS": False,
}
SIMPLE_JWT: dict[str, object] = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": JWT_SIGNING_KEY,
    "USER_ID_CLAIM": "userId",
    "TOKEN_TYPE_CLAIM": "type",
    "JTI_CLAIM": "jti",
}

# What lower layers contribute to health (dotted paths; `nexgent.runtime.health`): a ready check answers True or False,
# a report answers a record with "status" healthy, degraded or unhealthy.
READY_CHECKS: dict[str, str] = {"recovery": "trading.engine.recovery.is_recovered"}
HEALTH_REPORTS: dict[str, str] = {
    "feeds": "prices.condition.report",
    "engine": "trading.engine.recovery.report",
}
# Called by `manage.py demo` when the database is ready, before the processes start; they see NEXGENT_DEMO=1.
DEMO_PREPARATION = "nexgent.runtime.demo.prepare"
# What the preparation of a demo found out (`nexgent.runtime.demo`), read by its processes. The market is "live" or
# "synthetic" (made up, and labelled so on every page), "" outside a demo; the workspace is that of the demo agents.
_demo_file = DATA_DIR / "demo.json"
_demo = json.loads(_demo_file.read_text()) if os.environ.get("NEXGENT_DEMO") and _demo_file.exists() else {}
DEMO_MARKET: str = _demo.get("market", "")
DEMO_WORKSPACE_ID: str = _demo.get("workspace", "")
# What the demo trades on the live market: BONK, WIF, JUP, POPCAT, PYTH, RAY, JTO, ORCA.
DEMO_TOKENS = (
    "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263",
    "EKpQGSJtjMFqKZ9KQanSqYXRcF8fBopzLHYxdM65zcjm",
    "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN",
    "7GCihgDB8fe6KNjn2MYtkzZcRjQy3t9GHdC8uHYmW2hr",
    "HZ1JovNiVvGrGNiiYvEozEVgZ58xaU3RKwX8eACQBCt3",
    "4k3Dyjzvzp8eMZWUXbBCjEvwSkkk59S5iCNLY3QrkX6R",
    "jtojtomepa8beP8AuQc6eXt5FriJwfFMwQx2v2f9mCL",
    "orcaEKTdK7LKz57vaAYr9QeNsVEPfiu6QeMU1kektZE",
)

# --- Celery: the row is the queue of record, a message is a bell ----------------------------------------------------

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 120, "socket_keepalive": True}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "nexgent.runtime.beat:SingleScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
TASK_APPLICATION = "nexgent.celery.app"  # by name: the layers below may not import it
WS_TOKEN_VERIFIER = "nexgent.accounts.tokens.verify_access"  # noqa: S105  (a dotted path)
WS_PRINCIPAL_OF_USER = "nexgent.accounts.principals.of_user"
WS_PRINCIPAL_OF_SESSION = "nexgent.accounts.principals.of_token"


def _every(when: float | crontab, task: str, queue: str, *, expires: int) -> dict[str, object]:
    """One line of beat: seconds or a time of day. A message older than `expires` seconds is thrown away unread; the
    option's name is django-celery-beat's, which drops Celery's own."""
    return {"task": task, "schedule": when, "options": {"queue": queue, "expire_seconds": expires}}


CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    "prices.poll": _every(1.5, "prices.tasks.poll", "prices", expires=3),
    "trading.check_exits": _every(1, "trading.check_exits", "prices", expires=2),
    "trading.exits_drain": _every(1, "trading.exits_drain", "exits", expires=2),
    "trading.entries_drain": _every(1, "trading.entries_drain", "entries", expires=2),
    "signals.drain": _every(1, "signals.drain", "entries", expires=2),
    "signals.momentum": _every(5, "signals.momentum", "default", expires=5),
    "prices.describe": _every(60, "prices.tasks.describe", "prices", expires=60),
    "trading.untradable": _every(30, "trading.untradable", "default", expires=30),
    "signals.unstuck": _every(30, "signals.unstuck", "default", expires=30),
    "trading.snapshots": _every(crontab(minute="0"), "trading.snapshots", "default", expires=1800),
    "events.webhooks": _every(1, "events.webhooks", "default", expires=2),
    "events.sweep": _every(3600, "events.sweep", "default", expires=600),
    "accounts.letters": _every(10, "accounts.letters", "default", expires=10),
    "signals.sweep": _every(3600, "signals.sweep", "default", expires=600),
    "accounts.sweep": _every(3600, "accounts.sweep", "default", expires=600),
    "runtime.check_books": _every(60, "runtime.check_books", "default", expires=60),
    "prices.retain": _every(3600, "prices.tasks.retain", "default", expires=600),
}
# A worker that is gone leaves at most so many messages of beat in its queue; more are not sent.
BEAT_BACKLOG_MAX = 100

# --- Outside services ------------------------------------------------------------------------------------------------

# Where prices go after the engine had them: "thread" (coalesced in the background), "inline" or "off" (replays).
PRICES_WRITER = os.environ.get("PRICES_WRITER", "inline" if ENV.nexgent_env == "test" else "thread")
# Set by a replay: every size draw is then a function of this seed and the position's number.
ENGINE_SEED = os.environ.get("ENGINE_SEED", "")
# Tests name their own feeds (loopback servers); nothing is asked of the outside by default there.
PRICE_FEEDS = () if ENV.nexgent_env == "test" else ENV.price_feeds
if DEMO_MARKET == "synthetic":
    PRICE_FEEDS = ("synthetic",)
JUPITER_API_URL, JUPITER_RATE = ENV.jupiter_api_url, ENV.jupiter_rate
JUPITER_API_KEY = ENV.jupiter_api_key.get_secret_value()
DEXSCREENER_API_URL, DEXSCREENER_RATE = ENV.dexscreener_api_url, ENV.dexscreener_rate
PYTH_API_URL, PYTH_RATE = ENV.pyth_api_url, ENV.pyth_rate
PYTH_API_KEY = ENV.pyth_api_key.get_secret_value()
SOLANA_RPC_URLS = ENV.solana_rpc_url
SYNTHETIC_SEED = ENV.synthetic_seed
WEBHOOK_PRIVATE_ADDRESSES = ENV.webhook_private_addresses

# --- Time, static files, logs ----------------------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
STATIC_URL = "/static/"
STATIC_ROOT = None  # served from where they lie (WHITENOISE_USE_FINDERS); nothing is collected
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING_CONFIG = None
logs.configure(
    level=ENV.log_level,
    form="json" if PRODUCTION else "text",
    process=PROCESS,
    secrets=[
        SECRET_KEY,
        JWT_SIGNING_KEY,
        *environment.secret_values(ENV),
        *filter(None, [unquote(urlsplit(url).password or "") for url in (DATABASE_URL, REDIS_URL, MAIL_URL)]),
    ],
)
