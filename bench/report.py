"""What a chapter has to tell, and how it is written: Markdown, from raw figures alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.charts import Chart
from bench.figures import Figure

TIMES = "\N{MULTIPLICATION SIGN}"
TO = "\N{EN DASH}"


@dataclass(frozen=True)
class Target:
    """What was to be reached. `at_most` for a figure that has to be small."""

    what: str
    measured: float | None
    needed: float
    unit: str = ""
    at_most: bool = False

    @property
    def met(self) -> bool:
        if self.measured is None:
            return False
        return self.measured <= self.needed if self.at_most else self.measured >= self.needed

    def row(self) -> list[str]:
        sign = "≤" if self.at_most else "≥"
        measured = "not measured" if self.measured is None else self._shown(self.measured)
        verdict = "met" if self.met else "**missed**"
        return [self.what, f"{sign} {self._shown(self.needed)}", measured, verdict]

    def _shown(self, number: float) -> str:
        return f"{number:,.0f} {self.unit}" if self.unit else f"{number:.2f} {TIMES}"


@dataclass(frozen=True)
class Table:
    """The first column is text, the others are figures."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        rule = ["---", *["--:"] * (len(self.columns) - 1)]
        lines = [self.columns, rule, *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


@dataclass(frozen=True)
class Section:
    """A chapter's part of the page."""

    title: str
    text: str
    tables: Sequence[Table] = ()
    charts: dict[str, Chart] = field(default_factory=dict)  # by file name, without .svg
    targets: Sequence[Target] = ()

    def markdown(self, folder: str) -> str:
        charts = [f"![{chart.title}]({folder}/{name}.svg)" for name, chart in self.charts.items()]
        tables = [table.markdown() for table in self.tables]
        return "\n\n".join([f"## {self.title}", self.text, *charts, *tables])


INTRODUCTION = """\
# Benchmarks

What epis' counter, and its deletion of accounts, do beside what their users would pick instead. \
`make bench` measures all of this in one run and writes this page; [every round's raw \
figures](benchmarks.json) are beside it. Figures are medians over the rounds, with the lowest and \
the highest in brackets. Arms that are compared run in alternation on the same servers, in an \
order that turns with each round; a ratio is the median of the rounds' own ratios."""

LIMITS = """\
## What these figures do not say

- Everything shares this one machine: the load generator, the web server, PostgreSQL, the broker \
and the consumer. On more cores, or with servers of their own, the arms would move apart or \
together in ways that are not measured here.
- The disk's fsync (above) decides how much a commit costs. Where it is slower, sharing commits \
pays more than here; where it is free, less.
- One counter is loaded, the hardest case for counting in order. Many counters are no faster \
here, and would be for the hot rows, which stop waiting for each other.
- Loads last seconds. What hours of it do to the database (vacuum, checkpoints, a ledger that \
outgrows memory) shows only in the part with the long ledger.
- Deleted rows are dead, and stay until vacuum removes them, here as in any `DELETE`.
- The alternatives do no more than count. They keep no receipt, no order, no history; (a), (c) \
and (d) count twice what is sent twice, and (d) forgets what it had not yet written when it dies."""


def page(sections: Sequence[Section], machine: Sequence[tuple[str, str]], folder: str) -> str:
    """The whole page."""
    targets = [target for section in sections for target in section.targets]
    verdicts = Table(("target", "needed", "measured", ""), [target.row() for target in targets])
    ran_on = "\n".join(f"- {what}: {value}" for what, value in machine)
    parts = [
        INTRODUCTION,
        "## Targets\n\n" + verdicts.markdown(),
        *(section.markdown(folder) for section in sections),
        LIMITS,
        "## Where it ran\n\n" + ran_on,
    ]
    return "\n\n".join(parts) + "\n"


def spread(figure: Figure, digits: int = 0) -> str:
    """A figure as the tables show it."""
    low, high = f"{figure.low:,.{digits}f}", f"{figure.high:,.{digits}f}"
    return f"{figure.median:,.{digits}f} ({low}{TO}{high})"


def times(figure: Figure, digits: int = 2) -> str:
    """A ratio as the tables show it."""
    return f"{spread(figure, digits)} {TIMES}"
