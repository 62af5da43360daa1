"""Bars with their spread, as SVG that needs nothing from outside and suits light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.figures import Figure

WIDTH = 760
LEFT, RIGHT, TOP, ROW, BAR = 190, 90, 46, 34, 18

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .unit { fill: #59636e }
  .bar { fill: #8c959f }
  .ours { fill: #1a7f5a }
  .axis { stroke: #d1d9e0 }
  .spread { stroke: #1f2328; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .unit { fill: #9198a1 }
    .bar { fill: #656c76 }
    .ours { fill: #3fb68b }
    .axis { stroke: #3d444d }
    .spread { stroke: #f0f6fc }
  }
"""


@dataclass(frozen=True)
class Bar:
    """One arm: its median as the bar, lowest and highest round as the line across its end."""

    label: str
    figure: Figure
    ours: bool = False


@dataclass(frozen=True)
class Chart:
    """Horizontal bars from zero, on one scale."""

    title: str
    unit: str
    bars: Sequence[Bar]

    def svg(self) -> str:
        height = TOP + ROW * len(self.bars) + 8
        most = max(bar.figure.high for bar in self.bars) or 1
        scale = (WIDTH - LEFT - RIGHT) / most
        rows = "".join(_row(bar, TOP + ROW * number, scale) for number, bar in enumerate(self.bars))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-label="{escape(self.title)}">\n'
            f"<style>{STYLE}</style>\n"
            f'<text class="title" x="8" y="22">{escape(self.title)} '
            f'<tspan class="unit" font-weight="400">{escape(self.unit)}</tspan></text>\n'
            f'<line class="axis" x1="{LEFT}" x2="{LEFT}" y1="{TOP - 8}" y2="{height - 8}"/>\n'
            f"{rows}</svg>\n"
        )


def _row(bar: Bar, y: int, scale: float) -> str:
    middle = y + BAR / 2
    low, end, high = (
        LEFT + value * scale for value in (bar.figure.low, bar.figure.median, bar.figure.high)
    )
    ends = "".join(
        f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" y1="{middle - 4}" y2="{middle + 4}"/>'
        for x in (low, high)
    )
    return (
        f'<text x="{LEFT - 10}" y="{middle + 4.5}" text-anchor="end">{escape(bar.label)}</text>'
        f'<rect class="{"ours" if bar.ours else "bar"}" x="{LEFT}" y="{y}" '
        f'width="{end - LEFT:.1f}" height="{BAR}" rx="2"/>'
        f'<line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
        f"{ends}"
        f'<text x="{max(end, high) + 8:.1f}" y="{middle + 4.5}">'
        f"{_short(bar.figure.median)}</text>\n"
    )


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2f}"
