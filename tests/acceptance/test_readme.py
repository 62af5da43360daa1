"""Every line of the README's tour runs as written."""

import re
import subprocess

import pytest

from tests.acceptance.running import PROJECT, Running


def tour() -> str:
    readme = (PROJECT / "README.md").read_text()
    section = readme.partition("## A tour in five minutes")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))


@pytest.mark.timeout(120)
class TestTour:
    def test_runs_as_written(self, epis: Running) -> None:
        script = tour().replace("127.0.0.1:8000", f"127.0.0.1:{epis.port}")

        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

        assert ran.returncode == 0, ran.stderr
        answers = re.findall(r'"(\w+)":', ran.stdout)
        assert "certificate" in answers
        assert '"status":412' in ran.stdout.replace(" ", "")
        assert '"state":"done"' in ran.stdout.replace(" ", "")
        assert ran.stdout.count('"username":"redbreast"') >= 2
