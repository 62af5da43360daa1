"""All configuration. The environment is read here and nowhere else.

Two ways to run:

- nothing named: epis uses the PostgreSQL and Valkey that `manage.py up` starts under
  `EPIS_DATA`, and a secret key it keeps there. For trying, developing and testing.
- servers named: all of `USERS_DATABASE_URL`, `TODOS_DATABASE_URL`,
  `COUNTER_DATABASE_URL`, `BROKER_URL`, `SECRET_KEY` and `ALLOWED_HOSTS` are demanded;
  whatever is missing or wrong is told before anything starts, all of it at once.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import dj_database_url
import dj_email_url
from environs import Env, EnvValidationError, ValidationError, validate

from epis.embedded.locations import Locations, secret_key

BASE_DIR = Path(__file__).resolve().parent.parent

env = Env(eager=False)
env.read_env(str(BASE_DIR / ".env"), recurse=False)


@env.parser_for("database_url")
def _database_named(url: str, *, others: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The PostgreSQL database at this address, which none of the others may be."""
    try:
        named: dict[str, Any] = dict(dj_database_url.parse(url))
    except ValueError as error:
        raise ValidationError("Not a valid database URL.") from error
    if not url.startswith(("postgres://", "postgresql://")) or not named["NAME"]:
        raise ValidationError("Not postgres://user:password@host:port/database.")
    if any(_where(named) == _where(other) for other in others if other):
        raise ValidationError("Names a database that is already another app's.")
    return named


def _where(database: dict[str, Any]) -> tuple[Any, ...]:
    # The options too: they may name the host.
    port = database["PORT"] or 5432
    return database["HOST"], port, database["NAME"], database.get("OPTIONS")


@env.parser_for("mail_server")
def _mail_server(url: str) -> dict[str, Any]:
    """Django's settings for sending mail by this address; none for none."""
    if not url:
        return {}
    if not url.startswith(MAIL_SCHEMES):
        raise ValidationError(f"Does not begin with {', '.join(MAIL_SCHEMES)}.")
    server = dict(dj_email_url.parse(url))
    if server["EMAIL_FILE_PATH"]:  # without its first slash: a folder of whoever runs epis
        server["EMAIL_FILE_PATH"] = unquote(urlsplit(url).path)
    return server


def _each_is_a_word(words: list[str]) -> None:
    if any(word.split() != [word] for word in words):
        raise ValidationError("Not names with a comma, and no blank, between them.")


def _is_no_known_key(key: str) -> None:
    """Whoever has the key can sign what epis believes: cursors, and codes for passwords."""
    if HTTPS and (key.startswith(KEYS_FOR_TRYING) or len(set(key)) < FEWEST_CHARACTERS):
        raise ValidationError("Not random: everybody knows it, or can guess it.")


KEYS_FOR_TRYING = ("for-trying-only", "django-insecure-")
FEWEST_CHARACTERS = 5

# Not console://, which would write codes into the log. With submission:// over TLS.
MAIL_SCHEMES = ("smtp://", "submission://", "file:///")

some_words: list[Callable[[Any], Any]] = [validate.Length(min=1), _each_is_a_word]
web_address = validate.Regexp(
    r"https?://[^/?#\s]+\Z", error="Does not look like https://epis.example.org, with no path."
)
broker_address = validate.Regexp(
    r"(rediss?|redis\+socket|amqps?)://.",
    error="Does not begin with redis://, rediss://, redis+socket://, amqp:// or amqps://.",
)

# --- where things are -----------------------------------------------------------------

EPIS_DATA = env.path("EPIS_DATA", default=BASE_DIR / "var")
PORT = env.int("PORT", default=8000, validate=validate.Range(min=1, max=65535))
# The map of the databases: what else is to know them goes by it.
DATABASE_URL_OF = {
    "default": "USERS_DATABASE_URL",
    "todos": "TODOS_DATABASE_URL",
    "counter": "COUNTER_DATABASE_URL",
}
SERVERS_ARE_NAMED = any(
    env.str(variable, default="") for variable in [*DATABASE_URL_OF.values(), "BROKER_URL"]
)

HTTPS = env.bool("HTTPS", default=SERVERS_ARE_NAMED)

named_databases: dict[str, dict[str, Any]] = {}
if SERVERS_ARE_NAMED:
    for alias, variable in DATABASE_URL_OF.items():
        named_databases[alias] = env.database_url(variable, others=named_databases.values())
    BROKER_URL = env.str("BROKER_URL", validate=broker_address)
    SECRET_KEY = env.str("SECRET_KEY", validate=[validate.Length(min=50), _is_no_known_key])
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", validate=some_words)
else:
    locations = Locations(EPIS_DATA)
    named_databases = {alias: locations.database(alias) for alias in DATABASE_URL_OF}
    BROKER_URL = locations.broker_url
    SECRET_KEY = env.str("SECRET_KEY", default="") or secret_key(locations)
    ALLOWED_HOSTS = env.list(
        "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"], validate=some_words
    )

# --- how it runs ----------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
WEB_WORKERS = env.int("WEB_WORKERS", default=2, validate=validate.Range(min=1))
WEB_THREADS = env.int("WEB_THREADS", default=16, validate=validate.Range(min=1))
COUNTER_LANES = env.int("COUNTER_LANES", default=1, validate=validate.Range(min=1, max=64))
LOG_LEVEL = env.str(
    "LOG_LEVEL", default="INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"])
)
DELETION_GRACE_SECONDS = env.int(
    "DELETION_GRACE_SECONDS", default=0, validate=validate.Range(min=0)
)
TRASH_DAYS = env.int("TRASH_DAYS", default=30, validate=validate.Range(min=0))
SWEEP_SECONDS = env.int("SWEEP_SECONDS", default=5, validate=validate.Range(min=1))
SIGN_IN_TRIES_PER_MINUTE = env.int(
    "SIGN_IN_TRIES_PER_MINUTE", default=20, validate=validate.Range(min=1)
)
CSRF_TRUSTED_ORIGINS: list[str] = env.list(
    "CSRF_TRUSTED_ORIGINS", default=[], validate=_each_is_a_word
)
# HTTPS is spoken by a proxy, so there is one.
PROXIES = env.int("PROXIES", default=int(HTTPS), validate=validate.Range(min=0))
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}", validate=web_address)
EMAIL = env.mail_server("EMAIL_URL", default="")
DEFAULT_FROM_EMAIL = env.str("MAIL_FROM", default="epis@localhost")

# --- what one account may have, and one address may do -------------------------------------

REGISTRATIONS_PER_MINUTE = env.int(
    "REGISTRATIONS_PER_MINUTE", default=600, validate=validate.Range(min=1)
)
TOKENS_PER_ACCOUNT = env.int("TOKENS_PER_ACCOUNT", default=1_000, validate=validate.Range(min=1))
COUNTERS_PER_ACCOUNT = env.int(
    "COUNTERS_PER_ACCOUNT", default=10_000, validate=validate.Range(min=1)
)
TODOS_PER_ACCOUNT = env.int("TODOS_PER_ACCOUNT", default=1_000_000, validate=validate.Range(min=1))

try:
    env.seal()
except EnvValidationError as error:
    wrong: Any = error.error_messages
    lines = [f"  {variable}: {' '.join(messages)}" for variable, messages in wrong.items()]
    raise SystemExit("\n".join(["epis cannot run with these settings:", *lines])) from None

# --- databases ------------------------------------------------------------------------

# An app's database has the app's name as its alias; who has none lives with the users.
DATABASE_OF = {alias: alias for alias in DATABASE_URL_OF if alias != "default"}
DATABASE_ROUTERS = ["epis.routers.DatabasePerApp"]

# A process that freezes inside a transaction must not hold its locks for ever: the server
# ends such a session, and whoever waited for the lock gives up before a request would.
SESSION_LIMITS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "idle_in_transaction_session_timeout": "10s",
        "lock_timeout": "8s",
        "timezone": "UTC",
    }.items()
)


# Parameters travel apart from the statement, which is planned once for each connection and
# then only executed: for a short query the plan costs more than the query.
CONNECTION = {
    "options": SESSION_LIMITS,
    "connect_timeout": 5,
    "server_side_binding": True,
    "prepare_threshold": 5,
}


def _database(named: dict[str, Any]) -> dict[str, Any]:
    options = CONNECTION | named.get("OPTIONS", {})
    return {
        **named,
        "ENGINE": "epis.postgresql",
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
        # By default a test database waits for `default`, and a run that needs todos alone
        # would be refused.
        "TEST": {"DEPENDENCIES": []},
    }


DATABASES = {alias: _database(named) for alias, named in named_databases.items()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- parts ----------------------------------------------------------------------------

INSTALLED_APPS = [
    "epis",
    "tasks",
    "apps.users",
    "apps.todos",
    "apps.counter",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "epis.api.edge.Edge",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "epis.api.edge.Slashes",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "epis.urls"
WSGI_APPLICATION = "epis.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# Only the admin has messages. This makes one object a request for them, the default three.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
STATIC_ROOT = EPIS_DATA / "static"

# --- mail -----------------------------------------------------------------------------

# Without EMAIL_URL no mail is sent, and a forgotten password cannot be reset by its owner.
MAIL_IS_SENT = bool(EMAIL)
EMAIL_BACKEND = EMAIL.get("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")
EMAIL_HOST = EMAIL.get("EMAIL_HOST", "")
EMAIL_PORT = EMAIL.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = EMAIL.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = EMAIL.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = EMAIL.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = EMAIL.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = EMAIL.get("EMAIL_FILE_PATH", "")
EMAIL_TIMEOUT = 10
PASSWORD_RESET_TIMEOUT = 60 * 60

# --- people ---------------------------------------------------------------------------

AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = ["apps.users.backends.OpenAccounts"]
SESSION_ENGINE = "apps.users.sessions"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": name}
    for name in (
        "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "django.contrib.auth.password_validation.MinimumLengthValidator",
        "django.contrib.auth.password_validation.CommonPasswordValidator",
        "django.contrib.auth.password_validation.NumericPasswordValidator",
        "apps.users.validators.NotTheService",
    )
]
LOGIN_REDIRECT_URL = "/api/"
LOGOUT_REDIRECT_URL = "/api/"

# --- the API --------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.users.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": [
        "kit.api.bodies.QuickJSONRenderer",
        "epis.api.pages.BrowsablePages",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "kit.api.bodies.BoundedJSONParser",
        "kit.api.bodies.TrueFormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "epis.api.negotiation.Negotiation",
    "DEFAULT_PAGINATION_CLASS": "kit.api.pagination.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "epis.api.problems.answer",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "epis",
    "DESCRIPTION": "Users, todos and tallies that stay right whoever dies, and whenever.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "epis.api.schema.describe_problems",
        "epis.api.schema.show_examples",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- security -------------------------------------------------------------------------

SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
# The API is refused without HTTPS (`epis.api.edge`): a client whose tokens went over the wire
# in the clear would not learn of it from a redirect, which it follows.
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^api/"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
if HTTPS:  # a name that browsers take from this very host only, and over HTTPS
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
CSRF_FAILURE_VIEW = "epis.api.edge.csrf_failed"
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
# Where a body may be larger, in bytes: who reads it there does not hold it as a whole.
LARGE_BODIES = {"/api/todos/import/": 256 * 1024 * 1024}

# --- logging --------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "epis.logs.Discreet",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
        },
    },
    "filters": {"without_traceback": {"()": "epis.logs.WithoutTraceback"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    # Whoever calls the service by another name: a scanner, all day long.
    "loggers": {"django.security.DisallowedHost": {"filters": ["without_traceback"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
}
