import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.running import Running, epis_up
from tests.planted import secrets_in


@pytest.fixture(scope="package")
def epis() -> Iterator[Running]:
    """One epis for all the tests here; each brings its own accounts."""
    # Not pytest's own folder: the servers' user has to pass through it.
    folder = Path(tempfile.mkdtemp(prefix="epis-up-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with epis_up(folder / "data", folder / "up.log") as running:
            yield running
        logs = "".join(log.read_text() for log in (folder / "data" / "log").iterdir())
        assert "ready" in logs
        assert secrets_in(logs) == []
    finally:
        shutil.rmtree(folder, ignore_errors=True)
