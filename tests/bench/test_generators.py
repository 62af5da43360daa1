"""What the load generators print is read, and a run that failed is not taken for a slow one."""

import stat
from pathlib import Path

import pytest

from bench import load, pgbench
from bench.errors import CannotMeasure

FROM_WRK = """\
Running 6s test @ http://127.0.0.1:8000/bench/nothing/
  1 threads and 64 connections
Requests/sec:   1999.57
figures {"answered": 12014, "seconds": 6.008, "refused": %d, "broken": 0, "p50_ms": 30.5, \
"p99_ms": 61.0}
"""

FROM_PGBENCH = """\
transaction type: hot.sql
number of transactions actually processed: 15544
latency average = 24.7 ms
initial connection time = 94.305 ms
tps = 2590.746012 (without initial connection time)
"""


class TestWrk:
    def test_is_read(self) -> None:
        seen = load.parse(FROM_WRK % 0)

        assert (seen.answered, seen.seconds, seen.p50_ms, seen.p99_ms) == (12014, 6.008, 30.5, 61)
        assert seen.per_second == pytest.approx(1999.67, abs=0.01)

    def test_that_tells_nothing_is_refused(self) -> None:
        with pytest.raises(CannotMeasure, match="no figures: unable to connect"):
            load.parse("unable to connect to 127.0.0.1:8000\n")

    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return tmp_path

    def test_with_a_refused_request_is_no_measurement(self, path: Path) -> None:
        fake = path / "wrk"
        fake.write_text(f"#!/bin/sh\ncat <<'END'\n{FROM_WRK % 3}END\n")
        fake.chmod(fake.stat().st_mode | stat.S_IXUSR)

        with pytest.raises(CannotMeasure, match="3 of them refused"):
            load.run("http://127.0.0.1:1/", token="-", seconds=1, connections=1)

    def test_that_is_missing_is_named_with_its_remedy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))

        with pytest.raises(CannotMeasure, match="apt install wrk"):
            load.wrk()


class TestPgbench:
    def test_is_read(self) -> None:
        assert pgbench.parse(FROM_PGBENCH) == pytest.approx(2590.746)

    def test_that_tells_nothing_is_refused(self) -> None:
        with pytest.raises(CannotMeasure, match="no rate"):
            pgbench.parse("pgbench: error: connection failed")
