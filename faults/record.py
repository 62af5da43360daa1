"""The record of runs in docs/: a small file for each, and tables made from all of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faults.report import markdown_table, tables_of
from harness.installation import PROJECT

DOCS = PROJECT / "docs"
BEGIN, END = "<!-- from docs/faults/*.json -->", "<!-- so far -->"


def keep(summary: Mapping[str, Any], docs: Path = DOCS) -> Path:
    """Keep what is to be kept of a run, and write the tables anew."""
    name = str(summary["began"]).replace(" ", "-").replace(":", "")
    path = docs / "faults" / f"{name}-{summary['seed']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(summary) + "\n")
    render(docs)
    return path


def render(docs: Path = DOCS) -> None:
    """Write the tables of docs/faults.md from all runs that are kept."""
    summaries = [json.loads(path.read_text()) for path in sorted((docs / "faults").glob("*.json"))]
    tables = tables_of(summaries)
    text = "\n\n".join(f"### {name}\n\n{markdown_table(table)}" for name, table in tables.items())
    page = docs / "faults.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
