"""docs/security.md has every requirement, and the tests that it names are there."""

import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PAGE = (PROJECT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`((?:tests|docs|epis|kit)/[\w./-]+)(?:::(\w+))?`")
NUMBER = re.compile(r"\b(\d+\.\d+\.)(\d+)(?:\u2013\d+\.\d+\.(\d+))?")
# Of ASVS 5.0, levels 1 and 2: so many in each section, which level 3 follows. Without OAuth (V10)
# and WebRTC (V17).
REQUIREMENTS = {
    **{"1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2},
    **{"2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1},
    **{"3.2": 2, "3.3": 4, "3.4": 6, "3.5": 5, "3.7": 2},
    **{"4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4},
    **{"5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3},
    **{"6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4},
    **{"7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2},
    **{"8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1},
    **{"9.1": 3, "9.2": 4},
    **{"11.1": 2, "11.2": 3, "11.3": 3, "11.4": 4, "11.5": 1, "11.6": 1},
    **{"12.1": 3, "12.2": 2, "12.3": 4},
    **{"13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5},
    **{"14.1": 2, "14.2": 4, "14.3": 3},
    **{"15.1": 3, "15.2": 3, "15.3": 7},
    **{"16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3},
}


def on_the_page() -> Iterator[str]:
    for section, first, last in NUMBER.findall(PAGE):
        for number in range(int(first), int(last or first) + 1):
            yield f"{section}{number}"


def test_has_every_requirement() -> None:
    every = {
        f"{section}.{number}"
        for section, numbers in REQUIREMENTS.items()
        for number in range(1, numbers + 1)
    }

    assert every - set(on_the_page()) == set()
    assert set(on_the_page()) - every == set()


def test_names_what_is_there() -> None:
    named = NAMED.findall(PAGE)
    missing = [
        (file, name)
        for file, name in named
        if not (PROJECT / file).exists()
        or (name and f"class {name}" not in (PROJECT / file).read_text())
    ]

    assert len(named) > 50
    assert missing == []
