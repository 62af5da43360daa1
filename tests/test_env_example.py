"""`.env.example` names every variable that the settings read."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
READ = re.compile(r'env\.\w+\(\s*"([A-Z_]+)"|"([A-Z_]+_DATABASE_URL)"')
NAMED = re.compile(r"^#?([A-Z_]+)=", re.MULTILINE)


def read_by_settings() -> set[str]:
    settings = (PROJECT / "epis" / "settings.py").read_text()
    return {one or other for one, other in READ.findall(settings)}


class TestEnvExample:
    def test_names_what_the_settings_read_and_nothing_else(self) -> None:
        named = NAMED.findall((PROJECT / ".env.example").read_text())

        assert sorted(named) == sorted(read_by_settings())
