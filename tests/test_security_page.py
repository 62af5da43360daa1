"""Every test that docs/security.md names is there."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NAMED = re.compile(r"`((?:tests|docs|epis|kit)/[\w./-]+)(?:::(\w+))?`")


def test_names_what_is_there() -> None:
    named = NAMED.findall((PROJECT / "docs" / "security.md").read_text())
    missing = [
        (file, name)
        for file, name in named
        if not (PROJECT / file).exists()
        or (name and f"class {name}" not in (PROJECT / file).read_text())
    ]

    assert len(named) > 50
    assert missing == []
