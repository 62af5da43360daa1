"""What is told of a run, made from figures alone."""

import json
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from faults import __main__ as command
from faults import record
from faults.chaos import Struck
from faults.charts import recovery_chart, requests_chart
from faults.control.verdict import Verdict
from faults.figures import merged, recoveries, single_kills
from faults.history import read
from faults.judges import judge
from faults.plan import Plan
from faults.report import summary_of, tables_of, write, write_round
from faults.rounds import SECONDS_TO_RECOVER, Round, complaints_of, late_recoveries
from tests.faults.worlds import LEAVER, departure, increment, unanswered

COUNTS = {"requests": 2, "increments applied": 1, "deletions done": 0}


def played(**found: list[str]) -> Round:
    round_ = Round("1", seed=7, weather="kills")
    round_.history.exchanges = [increment("a", 1), unanswered("increment", "c", {}, 2)]
    round_.struck = [
        Struck("kill broker", 1.0, 1.0, 1, alone=True, recovered=3.0),
        Struck("kill web worker", 4.0, 4.0, 1, alone=False, recovered=5.0),
        Struck("freeze consumer", 6.0, 8.0, 0, alone=True, recovered=8.5),
    ]
    round_.found = {"lost": [], "doubled": [], "orphans": []} | found
    round_.seconds_to_rest = 2.5
    round_.control = Verdict(accepted=10, lost=3, deletions=2, orphans=1)
    round_.counts = dict(COUNTS)
    return round_


def summary(**found: list[str]) -> dict[str, object]:
    about = {"began": "2026-01-02 03:04", "seed": 7, "seconds": 45, "machine": "2 cores"}
    return summary_of([played(**found)], {"keys": ["doubled"], "sweep": []}, about)


class TestFigures:
    def test_only_what_came_alone_is_a_recovery_and_counts_from_its_end(self) -> None:
        struck = [struck.as_dict() for struck in played().struck]

        found = recoveries(struck)

        assert found == {"kill broker": [2.0], "freeze consumer": [0.5]}
        assert single_kills(found) == [2.0]
        assert single_kills({"kill everything at once": [9.0]}) == []
        assert merged([found, found])["kill broker"] == [2.0, 2.0]

    def test_where_nothing_was_hit_nothing_was_recovered_from(self) -> None:
        missed = replace(played().struck[0], kills=0, hit=False)

        assert recoveries([missed.as_dict()]) == {}


class TestRecovery:
    @pytest.mark.parametrize("recovered", [None, 2 + SECONDS_TO_RECOVER + 0.1])
    def test_from_any_fault_is_found_where_it_is_late(self, recovered: float | None) -> None:
        late = Struck("kill broker", 1, 1, 1, alone=False, calm=2, recovered=recovered)
        in_time = replace(late, recovered=2 + SECONDS_TO_RECOVER)

        assert len(late_recoveries([in_time, late, in_time])) == 1

    def test_is_not_asked_for_where_nobody_looked(self) -> None:
        assert not late_recoveries([Struck("the last bells lost", 1, 1, 1, alone=True)])


class TestComplaints:
    @pytest.mark.parametrize(
        ("code", "said", "found"), [(0, "fine", 0), (1, "a\nb", 2), (-9, "", 1)]
    )
    def test_of_a_command_are_heard_also_where_it_was_killed(
        self, code: int, said: str, found: int
    ) -> None:
        ran = subprocess.CompletedProcess(["audit"], code, said, "")

        assert len(complaints_of(ran)) == found


class TestSummary:
    def test_says_what_the_judges_found_and_what_became_of_the_control(self) -> None:
        told = summary(lost=["one"], doubled=["two", "three"])

        assert (told["lost"], told["doubled"], told["orphaned"]) == (1, 2, 0)
        assert told["found"] == {"1/lost": 1, "1/doubled": 2}
        assert told["kills"] == 2
        assert told["control"]["lost"] == 3  # type: ignore[index]

    def test_of_several_is_summed_up(self) -> None:
        _, rows = tables_of([summary(), summary()])["Results"]

        assert rows[-1][0] == "**in all**"
        assert rows[-1][3] == "**4**"

    def test_recoveries_are_apart_that_were_measured_less_sharply(self) -> None:
        tables = tables_of([summary(), summary(), {**summary(), "began": "2026-11-27 00:00"}])

        times = {name: rows[0][1] for name, (_, rows) in tables.items() if "Recovery" in name}
        assert times == {"Recovery": "1", "Recovery until 2026-11-26 03:00": "2"}

    def test_names_a_mutant_that_nobody_caught(self) -> None:
        _, rows = tables_of([summary()])["Mutants"]

        assert rows == [["keys", "1 of 1", "doubled"], ["sweep", "0 of 1", "**nobody**"]]


class TestReport:
    def test_is_a_page_with_charts_and_the_figures_beside_it(self, tmp_path: Path) -> None:
        write_round(tmp_path, played())

        page = write(tmp_path, [played()], summary())

        assert "0 lost, 0 doubled, 0 orphaned" in page.read_text()
        assert page.read_text().count("<svg") == 2
        assert "| kill broker | 1 | 2.0 | 2.0 | 2.0 |" in (tmp_path / "report.md").read_text()
        assert json.loads((tmp_path / "summary.json").read_text()) == summary()
        assert json.loads((tmp_path / "rounds.json").read_text())[0]["seed"] == 7

    def test_has_charts_that_are_well_formed_also_where_nothing_happened(self) -> None:
        for chart in (
            requests_chart("<title>", [], []),
            requests_chart("a", played().history.exchanges, [played().struck[0].as_dict()]),
            recovery_chart("<title>", {}),
            recovery_chart("b", {"kill <it>": [1.0, 2.0]}),
        ):
            ET.fromstring(chart)  # noqa: S314 - our own

    def test_leaves_a_history_that_can_be_read_again(self, tmp_path: Path) -> None:
        history = played().history

        history.write(tmp_path / "round.jsonl.gz")

        assert list(read(tmp_path / "round.jsonl.gz")) == history.exchanges


class TestRecord:
    def test_writes_the_tables_from_all_runs_and_leaves_the_rest_alone(
        self, tmp_path: Path
    ) -> None:
        page = tmp_path / "faults.md"
        page.write_text(f"# Faults\n\nbefore\n\n{record.BEGIN}\nold\n{record.END}\n\nbehind\n")

        record.keep(summary(), tmp_path)
        record.keep({**summary(), "seed": 8}, tmp_path)

        text = page.read_text()
        assert "old" not in text
        assert text.startswith("# Faults\n\nbefore\n")
        assert text.endswith(f"{record.END}\n\nbehind\n")
        assert "seed 7" in text
        assert "seed 8" in text

    def test_has_a_page_in_the_docs_that_says_what_the_runs_say(self, tmp_path: Path) -> None:
        (tmp_path / "faults").mkdir()
        for path in (record.DOCS / "faults").glob("*.json"):
            (tmp_path / "faults" / path.name).write_text(path.read_text())
        (tmp_path / "faults.md").write_text((record.DOCS / "faults.md").read_text())

        record.render(tmp_path)

        assert (tmp_path / "faults.md").read_text() == (record.DOCS / "faults.md").read_text()


class TestCutShort:
    def test_leaves_what_the_rounds_before_had_to_tell(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rounds = iter([played()])

        def play(*args: object) -> Round:
            for each in rounds:
                return each
            raise SystemExit(130)

        monkeypatch.setattr(command, "play", play)
        run = command.Run(Plan(rounds=2, seed=7, out=tmp_path), "2026-01-02 03:04", keeps=False)

        with pytest.raises(SystemExit):
            run.play(["kills"])

        (folder,) = tmp_path.iterdir()
        assert json.loads((folder / "summary.json").read_text())["kills"] == 2
        assert "round-1" in (folder / "report.md").read_text()
        assert (folder / "round-1.jsonl.gz").exists()


class TestJudgingAgain:
    def test_of_nothing_is_no_acquittal(self, tmp_path: Path) -> None:
        assert command.main(["--judge", str(tmp_path)]) == 2

    def test_finds_in_what_was_kept_what_was_found_at_the_time(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        round_ = played()
        round_.history.exchanges, round_.at_rest = departure()
        round_.at_rest.owned = {"todos_todo": [LEAVER]}
        then = judge(round_.history.exchanges, round_.at_rest)

        write_round(tmp_path, round_)

        assert command.main(["--judge", str(tmp_path)]) == 1
        told = capsys.readouterr().out
        assert then["orphans"]
        for name, found in then.items():
            assert told.count(f" {name}: ") == len(found)
