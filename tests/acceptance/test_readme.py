"""Every line of the README's tour runs as written."""

import os
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
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", tour()],
            env=os.environ | {"PORT": str(epis.port)},
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
        assert '"value":1,' in ran.stdout.replace(" ", "")
        assert ran.stdout.count('"username":"redbreast"') >= 2
