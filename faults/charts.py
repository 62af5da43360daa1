"""Charts as SVG that needs nothing from outside and suits light and dark."""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from faults.figures import Recoveries
from faults.history import Exchange
from harness.figures import quantile

WIDTH, LEFT, RIGHT, TOP, ROW = 900, 210, 20, 46, 26
PLOT_HEIGHT, MARK_HEIGHT = 160, 10

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .axis { stroke: #d1d9e0 }
  .answered { fill: #1a7f5a } .refused { fill: #d4a72c } .unanswered { fill: #cf222e }
  .fault { fill: #8250df; opacity: .75 } .dot { fill: #1a7f5a; opacity: .6 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .axis { stroke: #3d444d }
    .answered, .dot { fill: #3fb68b } .unanswered { fill: #ff7b72 } .fault { fill: #bc8cff }
  }
"""
OUTCOMES = ("answered", "refused", "unanswered")


def requests_chart(
    title: str, exchanges: Sequence[Exchange], struck: Sequence[Mapping[str, Any]]
) -> str:
    """Requests begun in each second, by what became of them, above the faults of that time."""
    seconds = int(max((each.began for each in exchanges), default=0)) + 1
    counted = Counter((int(each.began), _outcome(each)) for each in exchanges)
    most = max(sum(counted[second, each] for each in OUTCOMES) for second in range(seconds)) or 1
    kinds = sorted({each["kind"] for each in struck})
    x_scale = (WIDTH - LEFT - RIGHT) / seconds
    base = TOP + PLOT_HEIGHT
    body = [f'<text x="{LEFT - 8}" y="{TOP + 10}" text-anchor="end">{most} requests/s</text>']
    for second in range(seconds):
        y = float(base)
        for outcome in OUTCOMES:
            height = counted[second, outcome] * PLOT_HEIGHT / most
            y -= height
            x = LEFT + second * x_scale
            body.append(_box(outcome, x, y, max(x_scale - 0.5, 0.5), height))
    for row, kind in enumerate(kinds):
        y = base + 14 + row * ROW * 0.7
        body.append(f'<text x="{LEFT - 8}" y="{y + 9}" text-anchor="end">{escape(kind)}</text>')
        for each in (each for each in struck if each["kind"] == kind):
            x, width = LEFT + each["began"] * x_scale, (each["ended"] - each["began"]) * x_scale
            body.append(_box("fault", x, y, max(width, 2), MARK_HEIGHT))
    return _svg(title, int(base + 24 + len(kinds) * ROW * 0.7), body)


def recovery_chart(title: str, recoveries: Recoveries) -> str:
    """A dot for each recovery, in a row for each kind, with its p50 and p99 behind the name."""
    most = max((max(seconds) for seconds in recoveries.values() if seconds), default=1.0)
    scale = (WIDTH - LEFT - RIGHT - 150) / most
    body = []
    for row, (kind, seconds) in enumerate(sorted(recoveries.items())):
        y = TOP + row * ROW
        body.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(kind)}</text>')
        body += [
            f'<circle class="dot" cx="{LEFT + s * scale:.1f}" cy="{y}" r="3"/>' for s in seconds
        ]
        told = f"p50 {quantile(seconds, 0.5):.1f} s, p99 {quantile(seconds, 0.99):.1f} s"
        body.append(f'<text x="{WIDTH - RIGHT}" y="{y + 4}" text-anchor="end">{told}</text>')
    return _svg(title, TOP + max(len(recoveries), 1) * ROW, body)


def _outcome(exchange: Exchange) -> str:
    if exchange.status is None:
        return "unanswered"
    return "refused" if exchange.status >= 500 else "answered"


def _box(kind: str, x: float, y: float, width: float, height: float) -> str:
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {box}/>'


def _svg(title: str, height: int, body: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-label="{escape(title)}">\n'
        f"<style>{STYLE}</style>\n"
        f'<text class="title" x="8" y="22">{escape(title)}</text>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )
