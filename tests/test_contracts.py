"""The import contracts hold, and each of them catches what it is there to catch."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
CODE = ["epis", "tasks", "apps", "kit", "harness", "faults"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    for package in CODE:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / package, folder / package, ignore=ignored)
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> str:
    """What import-linter says about the code in the folder."""
    command = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )
    return ran.stdout


class TestContracts:
    def test_hold(self, copy: Path) -> None:
        assert "0 broken" in lint(copy)

    @pytest.mark.parametrize(
        ("module", "line", "contract"),
        [
            ("kit/ids.py", "import apps.users.public", "epis above tasks"),
            ("apps/users/queries.py", "import tasks.doorbells", "epis above tasks"),
            ("apps/todos/operations.py", "import celery", "Only tasks and epis know Celery"),
            ("apps/counter/queries.py", "import rest_framework", "know DRF"),
            ("apps/todos/admin.py", "import rest_framework", "know DRF"),
            ("kit/admin.py", "import rest_framework", "know DRF"),
            ("epis/processes.py", "import django", "know nothing of Django"),
            ("epis/embedded/valkey.py", "import django.conf", "know nothing of Django"),
            ("apps/users/queries.py", "import apps.todos.public", "The users come first"),
            ("apps/todos/owners.py", "import apps.users.models", "Into users by the door"),
            ("apps/todos/api/views.py", "import apps.users.backends", "Into users by the door"),
            ("tasks/cascade.py", "import apps.users.sessions", "Into users by the door"),
            ("tasks/cascade.py", "import apps.users.migrations", "Into users by the door"),
            ("tasks/cascade.py", "import apps.todos.models", "Into todos by the door"),
            ("tasks/cascade.py", "import apps.todos.apps", "Into todos by the door"),
            ("epis/audit.py", "import apps.counter.models", "Into counter by the door"),
            ("epis/audit.py", "import apps.counter.management", "Into counter by the door"),
            ("apps/todos/models.py", "import apps.todos.operations", "the same layers"),
            ("apps/users/search.py", "import apps.users.models", "the same layers"),
            ("kit/ids.py", "import bench.load", "knows the benchmark"),
            ("epis/celery.py", "import faults.mutants", "knows the benchmark or the fault"),
            ("tasks/cascade.py", "import harness.installation", "knows the benchmark or the fault"),
            ("faults/judges/order.py", "import epis.audit", "The judges know the history"),
        ],
    )
    def test_catch_a_planted_violation(
        self, copy: Path, module: str, line: str, contract: str
    ) -> None:
        file = copy / module
        honest = file.read_text() if file.exists() else ""
        file.write_text(f"{line}\n{honest}")

        said = lint(copy)
        file.unlink()
        if honest:
            file.write_text(honest)

        broken = [row for row in said.splitlines() if row.endswith("BROKEN")]
        assert any(contract in row for row in broken), said


class TestLint:
    @pytest.mark.parametrize(
        ("line", "rule"),
        [
            ("from django.db.transaction import on_commit", "TID251"),
            ("from django.db.transaction import atomic", "TID251"),
            ("from django.db import transaction\ntransaction.on_commit(print)", "TID251"),
            ("from django.apps import apps\napps.get_model('todos.Todo')", "TID251"),
            ("from django.contrib.auth import get_user_model", "TID251"),
            ("import importlib\nimportlib.import_module('apps.todos.models')", "TID251"),
        ],
    )
    def test_forbids_the_ways_around_the_contracts(
        self, tmp_path: Path, line: str, rule: str
    ) -> None:
        planted = tmp_path / "planted.py"
        planted.write_text(f"{line}\n")

        ran = subprocess.run(
            [
                *(Path(sys.executable).with_name("ruff"), "check"),
                *("--config", PROJECT / "pyproject.toml", "--select", "TID", planted),
            ],
            capture_output=True,
            text=True,
            check=False,
        )

        assert rule in ran.stdout
