"""The environment is read once, and whatever is wrong with it is named, all of it at once."""

import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
READ = re.compile(r'env\.\w+\(\s*"([A-Z_]+)"|"([A-Z_]+_DATABASE_URL)"')
NAMED = re.compile(r"^#?([A-Z_]+)=", re.MULTILINE)


def read_by_settings() -> set[str]:
    settings = (PROJECT / "epis" / "settings.py").read_text()
    return {one or other for one, other in READ.findall(settings)}


def complaint_about(**environment: str) -> str:
    """The last line that is said when epis is asked for anything in such an environment."""
    ours = read_by_settings() - {"EPIS_DATA"}
    others = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", "import epis.settings"],
        cwd=PROJECT,
        env={**others, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


class TestSettings:
    def test_name_all_that_is_missing_once_a_server_is_named(self) -> None:
        complaint = complaint_about(BROKER_URL="redis://127.0.0.1:1/0", SECRET_KEY="too short")

        for variable in ("USERS", "TODOS", "COUNTER"):
            assert f"'{variable}_DATABASE_URL': ['Environment variable not set.']" in complaint
        assert "'ALLOWED_HOSTS': ['Environment variable not set.']" in complaint
        assert "'SECRET_KEY': ['Shorter than minimum length 50.']" in complaint

    def test_name_all_that_is_wrong(self) -> None:
        wrong = {"PORT": "70000", "WEB_WORKERS": "0", "WEB_THREADS": "four", "SWEEP_SECONDS": "0"}

        complaint = complaint_about(**wrong)

        assert all(f"'{variable}': [" in complaint for variable in wrong)


class TestEnvExample:
    def test_names_what_the_settings_read_and_nothing_else(self) -> None:
        named = NAMED.findall((PROJECT / ".env.example").read_text())

        assert sorted(named) == sorted(read_by_settings())
