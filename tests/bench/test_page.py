"""The page and its charts, made from raw figures alone."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench.chapters import CHAPTERS
from bench.charts import LEFT, WIDTH, Bar, Chart
from bench.figures import Figure
from bench.report import Section, Table, Target, page

SVG = "{http://www.w3.org/2000/svg}"


def rounds_of(**figures: float) -> list[dict[str, float]]:
    """Three rounds: the figures, and a little less and more."""
    return [{name: value * each for name, value in figures.items()} for each in (1, 0.9, 1.1)]


def load_of(rate: float) -> list[dict[str, float]]:
    return rounds_of(accepted_per_s=rate, applied_per_s=rate, p50_ms=20, p99_ms=50)


ARMS = {
    "epis": 2800,
    "hot": 2000,
    "keyed": 1000,
    "keyed-at-once": 1400,
    "celery": 100,
    "redis": 3000,
    "nothing": 3500,
}
COMMON = {"connections": 64, "seconds": 6, "rounds": 3}
PER_SECOND = {
    **{"counting": [2800.0], "draining": [70_000.0], "reading": [1500.0]},
    "disk_mib_per_s": [900.0],
}
CHAPTERS_MEASURED: dict[str, Any] = {
    "counting": {
        **COMMON,
        **{"workers": 2, "threads": 4, "other_threads": 16},
        "arms": {name: load_of(rate) for name, rate in ARMS.items()},
        "arms_with_other_threads": {name: load_of(rate / 2) for name, rate in ARMS.items()},
    },
    "arrays": {
        **COMMON,
        "items": 1000,
        "arrays": [each | {"disk_mib_per_s": 900} for each in load_of(50_000)],
    },
    "draining": {
        **COMMON,
        "backlog": 1_000_000,
        "drained": rounds_of(per_second=66_000, rss_before=9e7, rss_peak=9.1e7, rss_after=9e7),
        "hot_row": rounds_of(per_second=3_000),
        "pile_seconds": 2,
        "tasks": rounds_of(per_second=500),
    },
    "long-ledger": {
        **COMMON,
        **{"entries": 10_000_000, "backlog": 200_000, "rounds_of_requests": 6},
        "empty": PER_SECOND,
        "long": PER_SECOND | {"reading": [1300.0]},
    },
    "latency": {
        **COMMON,
        **{"wait": 5, "full_per_s": 2800.0},
        "half_load": rounds_of(
            **{"accepted_per_s": 1400, "p50_ms": 20, "p99_ms": 300, "most_ms": 500},
            **{"waited_p50_ms": 30, "waited_p99_ms": 90, "waited_most_ms": 100},
            share_applied=0.9,
        ),
    },
    "deletion": {
        **{"todos": 1_000_000, "accounts": 10_000, "each": 10, "rounds": 3, "seconds": 6},
        "epis": rounds_of(seconds=1.2, memory=4e6),
        "raw": rounds_of(seconds=0.5),
        "cascade": rounds_of(seconds=60, memory=1.5e9),
        "shared": {"10": rounds_of(seconds=1.1), "100": rounds_of(seconds=1.5)},
        "small": rounds_of(per_second=600),
        "latency": {
            what: {
                **{"before_p50_ms": 10, "before_p99_ms": 40, "before_requests": 900},
                **{"during_p50_ms": 14, "during_p99_ms": p99, "during_requests": 300},
            }
            for what, p99 in (("list", 70), ("create", 90))
        },
    },
    "todos": {
        **{**COMMON, "todos": 1_000_000, "people": 10_000, "each": 60},
        "http": {
            **{name: [3.0, 3.1, 2.9] for name in ("own", "filtered", "search", "part", "one")},
            **{"create": [4.0, 4.1, 3.9], "nothing": [2.0] * 3, "nothing-sent": [2.1] * 3},
        },
        "sql": {
            **{name: [0.5, 0.6, 0.4] for name in ("own", "filtered", "part", "one", "create")},
            **{"search": [4.0] * 3, "ilike": [800.0] * 3},
        },
        "pages": {"first": [4.0] * 3, "far": [5.0] * 3},
        "at_once": rounds_of(per_second=900, p50_ms=60, p99_ms=200, behind_ms=3),
        "profile": {"query": 1.0, "query_and_rows": 3, "serialising": 0.5, "json": 0.4},
        "plans": {"search": "", "part": ""},
    },
}
RAW = {"machine": [["processor", "of today"]], "chapters": CHAPTERS_MEASURED}


class TestPage:
    @pytest.fixture
    def text(self, tmp_path: Path) -> str:
        return command.write(RAW, tmp_path)

    def test_has_every_chapter(self, text: str) -> None:
        assert set(CHAPTERS_MEASURED) == set(CHAPTERS)
        assert text.count("\n## ") == len(CHAPTERS) + 3

    @pytest.mark.parametrize(
        "row",
        [
            "| epis to (b) hot row and key, accepted | ≥ 2.30 × | 2.80 × | met |",  # noqa: RUF001
            "| epis to (d) Redis INCR, accepted | ≥ 1.00 × | 0.93 × | **missed** |",  # noqa: RUF001
            "| arrays of 1,000: applied | ≥ 40,000 /s | 50,000 /s | met |",
            "| 10,000,000 entries to none: reading the counter | ≥ 0.90 × | 0.87 × | **missed** |",  # noqa: RUF001
            "| accepted to applied, p50 | ≤ 50 ms | 20 ms | met |",
            "| accepted to applied, p99 | ≤ 250 ms | 300 ms | **missed** |",
            "| 1,000,000 todos, to (a) one raw DELETE | ≤ 2.00 × | 2.40 × | **missed** |",  # noqa: RUF001
            "| 1,000,000 todos, to (b) Django's cascade | ≤ 0.20 × | 0.02 × | met |",  # noqa: RUF001
            "| 1,000,000 todos: the worker grows by | ≤ 20 MB | 4 MB | met |",
            "| somebody else's list, p99 during to before | ≤ 2.00 × | 1.75 × | met |",  # noqa: RUF001
            "| small accounts deleted | ≥ 100 /s | 600 /s | met |",
            "| one todo, to its SQL and nothing | ≤ 1.50 × | 1.20 × | met |",  # noqa: RUF001
            "| page 1,000 to the first | ≤ 1.20 × | 1.25 × | **missed** |",  # noqa: RUF001
            "| ILIKE to a search | ≥ 50.00 × | 200.00 × | met |",  # noqa: RUF001
        ],
    )
    def test_says_of_each_target_whether_it_is_met(self, text: str, row: str) -> None:
        assert row in text

    def test_has_tables_with_as_many_cells_in_every_row(self, text: str) -> None:
        for table in text.split("\n\n"):
            if table.startswith("| "):
                assert len({row.count("|") for row in table.splitlines()}) == 1, table

    def test_shows_charts_that_are_there(self, text: str, tmp_path: Path) -> None:
        shown = [line.rpartition("(")[2][:-1] for line in text.splitlines() if line[:2] == "!["]

        assert shown
        assert all((tmp_path / name).exists() for name in shown)

    def test_can_be_written_again_from_the_figures_kept(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "benchmarks.md").unlink()

        assert command.main(["--render", "--out", str(tmp_path)]) == 0
        assert (tmp_path / "benchmarks.md").read_text() == text
        assert json.loads((tmp_path / "benchmarks.json").read_text()) == RAW


class TestTarget:
    def test_that_was_not_measured_is_not_met(self) -> None:
        target = Target("speed", None, 2)

        assert not target.met
        assert target.row()[2:] == ["not measured", "**missed**"]

    def test_is_met_by_what_is_just_enough(self) -> None:
        assert Target("speed", 2, 2).met
        assert Target("time", 50, 50, unit="ms", at_most=True).met
        assert not Target("time", 50.1, 50, unit="ms", at_most=True).met


class TestSection:
    def test_is_shown_with_its_table(self) -> None:
        section = Section("Speed", "How fast.", [Table(("", "now"), [["it", "3"]])])

        shown = page([section], [], "charts")

        assert "## Speed\n\nHow fast.\n\n|  | now |\n| --- | --: |\n| it | 3 |" in shown


class TestChart:
    def bars(self, *figures: Figure) -> list[ET.Element]:
        chart = Chart(
            "<Speed> & more", "a second", [Bar("ours & theirs", each) for each in figures]
        )
        return list(ET.fromstring(chart.svg()).iter(f"{SVG}rect"))  # noqa: S314 - our own

    def test_is_well_formed_and_draws_every_bar_to_scale(self) -> None:
        small, large = self.bars(Figure(50, 40, 60), Figure(100, 90, 200))

        assert float(large.attrib["width"]) == 2 * float(small.attrib["width"])

    def test_stays_within_its_width(self) -> None:
        (bar,) = self.bars(Figure(1e9, 1, 2e9))

        assert LEFT + float(bar.attrib["width"]) < WIDTH

    def test_of_nothing_measured_is_still_a_chart(self) -> None:
        (bar,) = self.bars(Figure(0, 0, 0))

        assert float(bar.attrib["width"]) == 0

    def test_needs_nothing_from_outside(self) -> None:
        svg = Chart("Speed", "", [Bar("ours", Figure(1, 1, 1), ours=True)]).svg()

        assert svg.count("http") == 1  # the namespace
        assert "<script" not in svg
