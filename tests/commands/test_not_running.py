"""A command while epis is not running: said in two lines, and not as a stack trace."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from epis.settings import BASE_DIR, DATABASE_URL_OF


@pytest.mark.parametrize(
    "command", ["audit", "demo", "reconcile", "tally robin/tea", f"tally {UUID(int=7)}"]
)
def test_says_that_it_needs_epis_to_run(tmp_path: Path, command: str) -> None:
    servers = dict.fromkeys([*DATABASE_URL_OF.values(), "BROKER_URL", "SECRET_KEY"], "")

    ran = subprocess.run(
        [sys.executable, "manage.py", *command.split()],
        cwd=BASE_DIR,
        env=os.environ | servers | {"EPIS_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ran.returncode == 1
    assert "Is epis running" in ran.stderr
    assert "Traceback" not in ran.stderr
