"""What a run has to tell: Markdown, an HTML page with charts, the raw histories, and a summary."""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from faults.charts import recovery_chart, requests_chart
from faults.figures import merged, recoveries, single_kills
from faults.rounds import Round
from harness.figures import quantile

Table = tuple[Sequence[str], Sequence[Sequence[str]]]

SECONDS_AFTER_A_KILL = 10.0
# What the judges find, in three words.
WORDS = {
    "lost": ("lost", "todos", "restored", "renames", "rest"),
    "doubled": ("doubled", "sequence", "tickets", "totals"),
    "orphaned": ("orphans", "deletions", "certificates"),
}
NAMED = tuple(judge for judges in WORDS.values() for judge in judges)


def write_round(folder: Path, played: Round) -> None:
    """Write what is large about a round into the folder: what the judges had, and the chart."""
    played.history.write(folder / f"round-{played.name}.jsonl.gz")
    played.at_rest.write(folder / f"round-{played.name}.rest.json.gz")
    struck = [struck.as_dict() for struck in played.struck]
    title = f"Round {played.name}: requests, and the faults meanwhile"
    chart = requests_chart(title, played.history.exchanges, struck)
    _chart_of(folder, played).write_text(chart)


def _chart_of(folder: Path, played: Round) -> Path:
    return folder / f"round-{played.name}.svg"


def write(folder: Path, rounds: Sequence[Round], summary: Mapping[str, Any]) -> Path:
    """Write the report of a run whose rounds are in the folder; returns the page's path."""
    charts = {"recovery": recovery_chart("Seconds until all was well again", summary["recoveries"])}
    (folder / "recovery.svg").write_text(charts["recovery"])
    for each in rounds:
        charts[f"round-{each.name}"] = _chart_of(folder, each).read_text()
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    told = [json.dumps(each.summary(), indent=1) for each in rounds]
    (folder / "rounds.json").write_text("[" + ",\n".join(told) + "]\n")
    tables = tables_of([summary])
    (folder / "report.md").write_text(_markdown(summary, tables, charts))
    page = folder / "report.html"
    page.write_text(_html(summary, tables, charts))
    return page


def summary_of(
    rounds: Sequence[Round], mutants: Mapping[str, Sequence[str]], about: Mapping[str, Any]
) -> dict[str, Any]:
    """What is kept of a run when its histories are gone."""
    totals = ("requests", "increments applied", "deletions done")
    struck = [struck.as_dict() for each in rounds for struck in each.struck]
    found = {
        f"{each.name}/{name}": len(f) for each in rounds for name, f in each.found.items() if f
    }
    control = [each.control.as_dict() for each in rounds]
    return {
        **about,
        "rounds": len(rounds),
        "faults": sum(each["hit"] for each in struck),
        "kills": sum(each.kills for each in rounds),
        **{name: sum(each.counts[name] for each in rounds) for name in totals},
        **{
            word: sum(_number_found(each, names) for each in rounds)
            for word, names in WORDS.items()
        },
        "found otherwise": sum(each.faults_found - _number_found(each, NAMED) for each in rounds),
        "found": found,
        "seconds to rest": max((each.seconds_to_rest for each in rounds), default=0.0),
        "control": {name: sum(each[name] for each in control) for name in (control or [{}])[0]},
        "mutants": {name: list(caught_by) for name, caught_by in mutants.items()},
        "recoveries": recoveries(struck),
    }


def _number_found(played: Round, names: Iterable[str]) -> int:
    return sum(len(played.found.get(name, ())) for name in names)


# From when on recovery is measured as it is now: see docs/faults.md.
SHARP_SINCE = "2026-11-26 03:00"


def tables_of(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Table]:
    """Of one run or of many."""
    recoveries = {
        "Recovery": [each for each in summaries if each["began"] >= SHARP_SINCE],
        f"Recovery until {SHARP_SINCE}": [
            each for each in summaries if each["began"] < SHARP_SINCE
        ],
    }
    return {
        "Results": _results(summaries),
        **{
            name: _recovery(merged(each["recoveries"] for each in of))
            for name, of in recoveries.items()
            if of
        },
        "Mutants": _mutants(summaries),
    }


FIGURES = {
    **{"rounds": "rounds", "faults": "faults", "kills": "kills", "requests": "requests"},
    **{"increments": "increments applied", "deletions": "deletions done"},
    **{"lost": "lost", "doubled": "doubled", "orphaned": "orphaned"},
    **{"found otherwise": "found otherwise"},
}
FIGURES_OF_CONTROL = {
    **{"control: increments": "accepted", "control: lost": "lost", "control: doubled": "doubled"},
    **{"control: deletions": "deletions", "control: orphaned": "orphans"},
}


def _results(summaries: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    sums = [0] * (len(FIGURES) + len(FIGURES_OF_CONTROL))
    for each in summaries:
        figures = [each[name] for name in FIGURES.values()]
        figures += [each["control"].get(name, 0) for name in FIGURES_OF_CONTROL.values()]
        sums = [one + other for one, other in zip(sums, figures, strict=True)]
        rows.append([f"{each['began']}, seed {each['seed']}", *map(_told, figures)])
    if len(rows) > 1:
        rows.append(["**in all**", *(f"**{_told(number)}**" for number in sums)])
    return ["run", *FIGURES, *FIGURES_OF_CONTROL], rows


def _recovery(of: Mapping[str, Sequence[float]]) -> Table:
    columns = ("fault, alone", "times", "p50, s", "p99, s", "longest, s")
    rows = [_recovery_row(kind, seconds) for kind, seconds in of.items()]
    kills = single_kills(of)
    if kills:
        name, *figures = _recovery_row("any single kill", kills)
        rows.append([f"**{name}**", *(f"**{figure}**" for figure in figures)])
    return columns, rows


def _recovery_row(kind: str, seconds: Sequence[float]) -> list[str]:
    figures = quantile(seconds, 0.5), quantile(seconds, 0.99), max(seconds)
    return [kind, str(len(seconds)), *(f"{figure:.1f}" for figure in figures)]


def _mutants(summaries: Sequence[Mapping[str, Any]]) -> Table:
    tried: dict[str, list[Sequence[str]]] = {}
    for each in summaries:
        for name, caught_by in each["mutants"].items():
            tried.setdefault(name, []).append(caught_by)
    rows = [
        [
            name,
            f"{sum(1 for each in times if each)} of {len(times)}",
            ", ".join(sorted({judge for each in times for judge in each})) or "**nobody**",
        ]
        for name, times in tried.items()
    ]
    return ("taken out", "caught", "by"), rows


def _told(number: float) -> str:
    return f"{number:,}"


def markdown_table(table: Table) -> str:
    columns, rows = table
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _headline(summary: Mapping[str, Any]) -> str:
    kills = single_kills(summary["recoveries"])
    p99 = f"{quantile(kills, 0.99):.1f} s" if kills else "not measured"
    return (
        f"{summary['kills']:,} kills in {summary['rounds']} round(s): {summary['lost']} lost, "
        f"{summary['doubled']} doubled, {summary['orphaned']} orphaned. A single kill was "
        f"recovered from in {p99} (p99; {SECONDS_AFTER_A_KILL:.0f} s wanted); everything was at "
        f"rest {summary['seconds to rest']:.1f} s behind the last fault. Seed {summary['seed']}, "
        f"{summary['machine']}."
    )


def _found(summary: Mapping[str, Any]) -> str:
    found = [f"{where}: {number}" for where, number in summary["found"].items()]
    return "Found: " + "; ".join(found) if found else "No judge found anything."


def _markdown(
    summary: Mapping[str, Any], tables: Mapping[str, Table], charts: Mapping[str, str]
) -> str:
    parts = ["# Faults", _headline(summary), _found(summary)]
    parts += [f"## {title}\n\n{markdown_table(table)}" for title, table in tables.items()]
    parts += [f"![{name}]({name}.svg)" for name in charts]
    return "\n\n".join(parts) + "\n"


def _html(
    summary: Mapping[str, Any], tables: Mapping[str, Table], charts: Mapping[str, str]
) -> str:
    body = [f"<h1>Faults</h1><p>{escape(_headline(summary))}</p><p>{escape(_found(summary))}</p>"]
    for title, (columns, rows) in tables.items():
        head = "".join(f"<th>{escape(column)}</th>" for column in columns)
        lines = [
            "<tr>" + "".join(f"<td>{escape(cell.strip('*'))}</td>" for cell in row) + "</tr>"
            for row in rows
        ]
        body.append(f"<h2>{title}</h2><table><tr>{head}</tr>{''.join(lines)}</table>")
    return PAGE.format(body="\n".join([*body, *charts.values()]))


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Faults</title>
<style>
  :root {{ color-scheme: light dark }}
  body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 960px; margin: 2rem auto }}
  table {{ border-collapse: collapse; display: block; overflow-x: auto }}
  td, th {{ border-bottom: 1px solid #8884; padding: .2rem .6rem; text-align: right }}
  td:first-child, th:first-child {{ text-align: left }}
  svg {{ max-width: 100%; height: auto; margin-top: 1.5rem }}
</style>
{body}
</html>
"""
