"""epis' settings, with the alternatives' addresses."""

from epis.settings import *  # noqa: F403

ROOT_URLCONF = "bench.web.urls"
