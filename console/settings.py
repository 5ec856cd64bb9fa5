"""Settings: from the environment only (CONTRACT: "Environment of the console"), the same code everywhere."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from kombu import Queue

from console.env import Env

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env()

SECRET_KEY = env.required("SECRET_KEY", "Set it to a long random string, the same for every console process.")
if not SECRET_KEY:
    SECRET_KEY = "not-configured"  # noqa: S105 - the checks refuse to start with it
DEBUG = env.flag("DEBUG")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "localhost,127.0.0.1")
BASE_URL = env.url("BASE_URL", ("http", "https"), "http://127.0.0.1:8000").rstrip("/")
REDIS_URL = env.url("REDIS_URL", ("redis", "rediss"), hint="Expected redis://HOST:6379/0.")
PLATFORM_FILE = env.text("PLATFORM_FILE", "platform.yaml")
HTTPS = BASE_URL.startswith("https://")
# Mail to people (console.incidents.pagers.email); without EMAIL_URL there is none.
globals().update(env.mail("EMAIL_URL"))
EMAIL_FROM = env.text("EMAIL_FROM", f"Quarterdeck <quarterdeck@{urlsplit(BASE_URL).hostname or 'localhost'}>")
METRICS_ALLOWED = env.networks("METRICS_ALLOWED")  # who may scrape /metrics without a token

DATABASES = {"default": env.database("DATABASE_URL")}
DATABASES["default"].setdefault("OPTIONS", {})
for _name, _value in {
    "connect_timeout": 3,
    "application_name": "quarterdeck",
    # A server whose host is gone (RDS after a failover) is given up within seconds: TCP's own defaults wait a quarter
    # of an hour, with a kept connection and a thread each. They don't limit how long a query may take.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds that something sent may stay unacknowledged
}.items():
    DATABASES["default"]["OPTIONS"].setdefault(_name, _value)
# The web's threads keep theirs (console.lib.asgi); one that the server has ended meanwhile is noticed and replaced.
# Celery ends a task's connection with the task, whatever is said here.
DATABASES["default"] |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "console.accounts.admin_app.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "ninja",
    "csp",
    "console",
    "console.lib",
    "console.platform",
    "console.history",
    "console.accounts",
    "console.operations",
    "console.incidents",
    "console.scheduler",
    "console.fleets",
    "console.freshness",
    "console.pools",
    "console.datastores",
    "console.storage",
    "console.deploys",
    "console.overview",
    "console.sandbox",
]

MIDDLEWARE = [
    "console.lib.middleware.frame",
    "django.middleware.gzip.GZipMiddleware",  # a page of 1,000 workers is 115 kB plain, 10 kB so; pads against BREACH
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "console.lib.middleware.api_errors",
    "console.lib.middleware.readable",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "console.accounts.middleware.SignedIn",  # default deny
    "console.platform.middleware.one_reading",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "console.urls"
ASGI_APPLICATION = "console.asgi.application"
WSGI_APPLICATION = "console.wsgi.application"
_SHOWN_EVERYWHERE = [
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
    "console.overview.context.shell",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "environment": "console.lib.templates.environment",
            "context_processors": _SHOWN_EVERYWHERE,
        },
    },
    {
        # Django's admin, and what extends it.
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates/django"],
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request", *_SHOWN_EVERYWHERE]},
    },
]

# Accounts
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]

# Safe by default. Cookies are Secure wherever the console is reached by https.
SESSION_ENGINE = "console.accounts.sessions"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
# Cookies know no port: two consoles on one machine must not sign each other out.
_cookie = ("__Host-" if HTTPS else "") + f"quarterdeck-{urlsplit(BASE_URL).port or 0}"
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_cookie}-session", f"{_cookie}-csrf"
CSRF_TRUSTED_ORIGINS = [BASE_URL] if BASE_URL else []
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # asked by plain http, inside the network
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# Static files: hashed names, served by whitenoise in every environment.
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False

# Celery (the console's own; Airflow's Celery is reached through console.platform.broker).
CELERY_BROKER_URL = REDIS_URL or "redis://not-configured"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
# Pages have a queue of their own, which every worker takes from in turn: no backlog of polls is ahead of them.
CELERY_TASK_QUEUES = [Queue("celery", routing_key="celery"), Queue("pages", routing_key="pages")]
CELERY_TASK_ROUTES = {
    "console.incidents.tasks.sweep_pages": {"queue": "pages"},
    "console.incidents.tasks.deliver_page": {"queue": "pages"},
}
CELERY_TASK_ACKS_LATE = False  # polls repeat by themselves, operations are picked up again by beat
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TASK_SEND_SENT_EVENT = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "quarterdeck:",
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
}
CELERY_REDBEAT_REDIS_URL = CELERY_BROKER_URL
CELERY_REDBEAT_KEY_PREFIX = "quarterdeck:redbeat:"
CELERY_REDBEAT_LOCK_TIMEOUT = 15  # another beat takes over within this many seconds
CELERY_BEAT_MAX_LOOP_INTERVAL = 1

LOGGING_CONFIG = "console.lib.redaction.configure"  # no secret reaches any handler
# How long time series are kept at each resolution (console.history): samples of 15 s, minutes, quarters of an hour.
HISTORY_RETENTION = {"raw": timedelta(hours=6), "minute": timedelta(days=14), "quarter": timedelta(days=90)}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "filters": {"redaction": {"()": "console.lib.redaction.Redaction"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redaction"]}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        # Their INFO lines repeat task arguments and whole URLs.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "redbeat": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # a traceback for every scanner
        "botocore": {"level": "WARNING"},
    },
}
ENV_PROBLEMS = env.problems
