"""epis' settings as they are, with the control arms beside it, and with proxies in between or a
guard taken out where the run says so."""

import os
from typing import Any

from epis.settings import *  # noqa: F403
from epis.settings import DATABASES, INSTALLED_APPS

ROOT_URLCONF = "faults.control.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "faults.mutants.Mutants"]
MUTANT = os.environ.get("FAULTS_MUTANT", "")

if database_port := os.environ.get("FAULTS_DATABASE_PORT"):
    through_proxy: dict[str, Any] = {"HOST": "127.0.0.1", "PORT": database_port}
    DATABASES = {alias: database | through_proxy for alias, database in DATABASES.items()}
if broker_port := os.environ.get("FAULTS_BROKER_PORT"):
    BROKER_URL = f"redis://127.0.0.1:{broker_port}/0"
