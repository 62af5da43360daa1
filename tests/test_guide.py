"""The guide to adding an app, followed to the letter in a copy of the project: its rows are
fenced, deleted with their user, counted in the certificate, and the contracts hold."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.databases import connected_to_server, create_database, drop_database
from tests.tasks.conftest import url_of

PROJECT = Path(__file__).resolve().parent.parent
GUIDE = PROJECT / "docs" / "guides" / "adding-an-app.md"
COPIED = ["apps", "epis", "faults", "harness", "kit", "tasks", "manage.py", "pyproject.toml"]
VARIABLES = {
    "users": "USERS_DATABASE_URL",
    "todos": "TODOS_DATABASE_URL",
    "counter": "COUNTER_DATABASE_URL",
    "notes": "NOTES_DATABASE_URL",
}

# What the guide says in words about files that are there.
EDITS = {
    "epis/settings.py": [
        ('"counter": "COUNTER_DATABASE_URL",', '    "notes": "NOTES_DATABASE_URL",'),
        ('"apps.counter",', '    "apps.notes",'),
    ],
}
CONTRACT = """
[[tool.importlinter.contracts]]
name = "Into notes by the door, or by its events"
type = "protected"
protected_modules = [
    "apps.notes.admin",
    "apps.notes.apps",
    "apps.notes.errors",
    "apps.notes.migrations",
    "apps.notes.models",
    "apps.notes.operations",
    "apps.notes.owners",
    "apps.notes.queries",
]
allowed_importers = ["apps.notes"]
"""

USE = """
import django
django.setup()

from apps.notes import public as notes
from apps.users import public as users
from apps.users.models import Deletion, User
from apps.users.operations.deletions import request_deletion
from kit import holdings
from kit.holdings import OwnerIsGone
from tasks import cascade

leaver, stayer = (
    users.open_account(username=name, password="a long pass phrase")
    for name in ("leaver", "stayer")
)
for owner_id in (leaver, stayer):
    for number in range(7):
        notes.add_note(owner_id=owner_id, text=f"note {number}")
deletion = request_deletion(user_id=leaver)
while cascade.advance_deletions():
    pass
try:
    notes.add_note(owner_id=leaver, text="too late")
except OwnerIsGone:
    print("refused")
held = next(held for held in holdings.registered() if held.app == "notes")
print(Deletion.objects.get().state, deletion.steps.get(app="notes").deleted)
print(held.count(leaver), held.count(stayer), User.objects.get().username)
"""


@pytest.fixture
def urls(worker_id: str) -> Iterator[dict[str, str]]:
    """A database for each app, on the tests' server, by variable."""
    names = {variable: f"guide_{app}_{worker_id}" for app, variable in VARIABLES.items()}
    server_url, _, _ = url_of("default").rpartition("/")
    with connected_to_server() as server:
        for name in names.values():
            create_database(server, name)
        yield {variable: f"{server_url}/{name}" for variable, name in names.items()}
        for name in names.values():
            drop_database(server, name)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project, with the app that the guide adds."""
    for name in COPIED:
        source, target = PROJECT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for name, text in files_of(GUIDE.read_text()).items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    for module in ("__init__", "queries", "errors"):
        file = tmp_path / "apps" / "notes" / f"{module}.py"
        file.write_text("" if module == "__init__" else '"""Nothing yet."""\n')
    for name, additions in EDITS.items():
        file = tmp_path / name
        text = file.read_text()
        for before, added in additions:
            assert text.count(before) == 1, before
            text = text.replace(before, f"{before}\n{added}")
        file.write_text(text)
    contracts = tmp_path / "pyproject.toml"
    text = contracts.read_text()
    for before, after in [
        ("apps.todos | apps.counter", "apps.todos | apps.counter | apps.notes"),
        ('containers = ["apps.users",', 'containers = ["apps.notes", "apps.users",'),
    ]:
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    contracts.write_text(text + CONTRACT)
    return tmp_path


def files_of(guide: str) -> dict[str, str]:
    """Every block of Python in the guide, by the file that the text before it names."""
    files = {}
    pieces = re.split(r"```python\n(.*?)```\n", guide, flags=re.DOTALL)
    for text, block in zip(pieces[::2], pieces[1::2], strict=False):
        *_, name = re.findall(r"`(apps/notes/(?!__init__)\w+\.py)`", text)
        files[name] = block
    return files


def run(copy: Path, urls: dict[str, str], *command: str) -> str:
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=copy,
        env={
            **os.environ,
            **urls,
            "DJANGO_SETTINGS_MODULE": "epis.settings",
            "BROKER_URL": "redis://127.0.0.1:1/0",
            "SECRET_KEY": settings.SECRET_KEY,
            "ALLOWED_HOSTS": "localhost",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


class TestGuide:
    def test_names_every_file_of_the_app(self) -> None:
        assert files_of(GUIDE.read_text()).keys() == {
            f"apps/notes/{module}.py"
            for module in ("models", "owners", "apps", "operations", "public", "admin")
        }

    def test_makes_an_app_whose_rows_go_with_their_user(
        self, copy: Path, urls: dict[str, str]
    ) -> None:
        run(copy, urls, "manage.py", "makemigrations", "notes")
        run(copy, urls, "manage.py", "migrate_all", "--verbosity", "0")

        assert run(copy, urls, "-c", USE).splitlines() == ["refused", "done 7", "0 7 stayer"]

        said = run(copy, urls, "manage.py", "deletions", "verify")
        assert "1 certificate(s) checked; all of them hold" in said

    def test_makes_an_app_that_keeps_to_the_contracts(self, copy: Path) -> None:
        (copy / "apps" / "notes" / "migrations").mkdir()
        (copy / "apps" / "notes" / "migrations" / "__init__.py").touch()

        ran = subprocess.run(
            [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )

        assert "0 broken" in ran.stdout
