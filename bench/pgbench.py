"""The hot row without a web server: PostgreSQL's own load generator on the same server."""

import re
import subprocess  # nosec B404
import tempfile
from pathlib import Path

from bench.errors import CannotMeasure
from bench.instance import Instance

STATEMENT = "UPDATE bench_hot SET value = value + 1 WHERE id = 1;\n"
TRANSACTIONS_PER_SECOND = re.compile(r"^tps = ([\d.]+) ", re.MULTILINE)


def hot_row_per_second(epis: Instance, *, clients: int, seconds: int) -> float:
    """Prepared updates of one row a second, by so many clients at once."""
    address = epis.locations.database("counter")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "hot.sql"
        script.write_text(STATEMENT)
        done = subprocess.run(  # nosec B603  # noqa: S603
            [
                *(epis.postgres_program("pgbench"), "--no-vacuum", "--protocol", "prepared"),
                *("--client", str(clients), "--jobs", "2", "--time", str(seconds)),
                *("--file", str(script), "--host", address["HOST"], "--port", address["PORT"]),
                *("--username", address["USER"], address["NAME"]),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 60,
        )
    if done.returncode != 0:
        raise CannotMeasure(f"pgbench failed: {done.stderr.strip()}")
    return parse(done.stdout)


def parse(output: str) -> float:
    """Raises CannotMeasure if pgbench told no rate."""
    found = TRANSACTIONS_PER_SECOND.search(output)
    if found is None:
        raise CannotMeasure(f"pgbench told no rate: {output.strip()[-200:]}")
    return float(found[1])
