"""The environment is read once, and whatever is wrong with it is named, all of it at once."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
READ = re.compile(r'env\.\w+\(\s*"([A-Z_]+)"|"([A-Z_]+_DATABASE_URL)"')
NAMED = re.compile(r"^#?([A-Z_]+)=", re.MULTILINE)


def read_by_settings() -> set[str]:
    settings = (PROJECT / "epis" / "settings.py").read_text()
    return {one or other for one, other in READ.findall(settings)}


NAMED_SERVERS = {
    "USERS_DATABASE_URL": "postgres://nobody@127.0.0.1:1/users",
    "TODOS_DATABASE_URL": "postgres://nobody@127.0.0.1:1/todos",
    "COUNTER_DATABASE_URL": "postgres://nobody@127.0.0.1:1/counter",
    "BROKER_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": "0123456789" * 5,
    "ALLOWED_HOSTS": "epis.invalid",
}


def run(
    *command: str, folder: Path = PROJECT, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a Python command in an environment that tells epis nothing else."""
    ours = read_by_settings() - {"EPIS_DATA"}
    others = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**others, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def complaints_about(**environment: str) -> dict[str, str]:
    """What is said of each variable when the settings are read, and nothing else is."""
    done = run("-c", "import epis.settings", **environment)
    assert done.returncode == 1
    first, *lines = done.stderr.splitlines()
    assert first == "epis cannot run with these settings:"
    return dict(line.strip().split(": ", 1) for line in lines)


class TestSettings:
    def test_name_all_that_is_missing_once_a_server_is_named(self) -> None:
        said = complaints_about(BROKER_URL="redis://127.0.0.1:1/0", SECRET_KEY="too short")

        missing = ("USERS_DATABASE_URL", "TODOS_DATABASE_URL", "COUNTER_DATABASE_URL")
        assert said == {
            **dict.fromkeys([*missing, "ALLOWED_HOSTS"], "Environment variable not set."),
            "SECRET_KEY": "Shorter than minimum length 50.",
        }

    def test_name_all_that_is_wrong(self) -> None:
        wrong = {
            "PORT": "70000",
            "WEB_WORKERS": "0",
            "WEB_THREADS": "four",
            "SWEEP_SECONDS": "0",
            "LOG_LEVEL": "loud",
            "ALLOWED_HOSTS": ",",
            "CSRF_TRUSTED_ORIGINS": "https://one.example.org, https://other.example.org",
        }

        assert complaints_about(**wrong).keys() == wrong.keys()

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("BROKER_URL", "hello"),
            ("BROKER_URL", "http://127.0.0.1/"),
            ("ALLOWED_HOSTS", ""),
            ("USERS_DATABASE_URL", "hello"),
            ("USERS_DATABASE_URL", "mysql://nobody@127.0.0.1/users"),
            ("USERS_DATABASE_URL", "postgres://nobody@127.0.0.1:port/users"),
            ("USERS_DATABASE_URL", "postgres://nobody@127.0.0.1"),
            ("TODOS_DATABASE_URL", "postgresql://somebody@127.0.0.1:1/users"),
            ("EMAIL_URL", "smtp+tls://mail.example.org"),
            ("EMAIL_URL", "console://"),
            ("EMAIL_URL", "file://folder"),
            ("PUBLIC_URL", "epis.example.org"),
            ("PUBLIC_URL", "https://epis.example.org/path"),
            ("PROXIES", "-1"),
        ],
    )
    def test_refuse_a_server_that_would_not_do(self, variable: str, value: str) -> None:
        said = complaints_about(**{**NAMED_SERVERS, variable: value})

        assert list(said) == [variable]

    def test_are_read_from_the_file_as_from_the_environment(self, tmp_path: Path) -> None:
        shutil.copytree(PROJECT / "epis", tmp_path / "epis")
        lines = [f"{variable}={value}" for variable, value in NAMED_SERVERS.items()]
        (tmp_path / ".env").write_text("\n".join(lines))
        code = "from epis import settings; print(settings.SERVERS_ARE_NAMED, settings.BROKER_URL)"

        assert run("-c", code, folder=tmp_path).stdout == "True redis://127.0.0.1:1/0\n"

    def test_put_mail_for_trying_where_it_is_said(self) -> None:
        code = "from epis import settings; print(settings.EMAIL_FILE_PATH)"

        assert run("-c", code, EMAIL_URL="file:///srv/mail%20here").stdout == "/srv/mail here\n"

    @pytest.mark.parametrize(
        "command",
        [
            ("manage.py", "up"),
            ("-m", "celery", "-A", "epis", "worker"),
            ("-m", "granian", "--interface=wsgi", "--port=0", "--factory", "epis.wsgi:web_process"),
        ],
        ids=["manage.py", "celery", "granian"],
    )
    def test_are_complained_of_in_plain_words_by_every_program(
        self, command: tuple[str, ...]
    ) -> None:
        done = run(*command, LOG_LEVEL="loud")

        assert done.returncode != 0
        assert "\n  LOG_LEVEL: Must be one of: DEBUG, INFO, WARNING, ERROR." in done.stderr
        assert "Traceback" not in done.stderr


class TestEnvExample:
    def test_names_what_the_settings_read_and_nothing_else(self) -> None:
        named = NAMED.findall((PROJECT / ".env.example").read_text())

        assert sorted(named) == sorted(read_by_settings())
