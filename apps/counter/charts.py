"""How a counter has moved lately: how fast, and charts of the last day, week and month.

A chart is SVG without a script, a style or anything from elsewhere, so the strictest content
security policy lets it show. Its colours are those of the admin's theme, light or dark; what
it shows is also said in words. It costs the same however long the ledger is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.counter.models import Counter
from apps.counter.queries import Standing, find_standings

WIDTH, HEIGHT = 280, 154
LEFT, RIGHT = 8, WIDTH - 8
HIGHEST, LOWEST = 38, 92  # between which the line of the value runs
BARS_TOP, BARS_FOOT = 110, 136

Point = tuple[datetime, Standing]


class Span(NamedTuple):
    """A stretch of time up to now, in buckets of equal length."""

    name: str
    buckets: int
    bucket: timedelta
    bucket_name: str

    def moments(self, now: datetime) -> list[datetime]:
        """Where its buckets begin and end."""
        return [now - self.bucket * number for number in range(self.buckets, -1, -1)]


SPANS = [
    Span("Last 24 hours", 48, timedelta(minutes=30), "30 minutes"),
    Span("Last 7 days", 56, timedelta(hours=3), "3 hours"),
    Span("Last 30 days", 60, timedelta(hours=12), "12 hours"),
]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Activity:
    """How a counter has moved lately."""

    rate: str
    charts: list[SafeString]


def describe_activity(counter: Counter, now: datetime) -> Activity:
    """Its rate and its charts, from one look at all the moments that they need."""
    spans = {span: span.moments(now) for span in SPANS}
    moments = sorted({now - MINUTE, now - HOUR, now - DAY}.union(*spans.values()))
    at = dict(zip(moments, find_standings(counter.id, moments), strict=True))
    minute, hour, day = (at[now].place - at[now - ago].place for ago in (MINUTE, HOUR, DAY))
    return Activity(
        rate=(
            f"{minute / 60:,.2f} a second in the last minute, "
            f"{hour:,} in the last hour, {day:,} in the last day"
        ),
        charts=[
            draw_chart(span, [(moment, at[moment]) for moment in moments], counter.created_at)
            for span, moments in spans.items()
        ],
    )


def draw_chart(span: Span, points: Sequence[Point], created_at: datetime) -> SafeString:
    """The value as a line, and below it a bar for the increments in each bucket.

    `points` are where its buckets begin and end. The line begins at 0 in the bucket in which
    the counter does.
    """
    unborn = sum(moment < created_at and not standing.place for moment, standing in points)
    values = [standing.value for _, standing in points[max(unborn - 1, 0) :]]
    counts = [after.place - before.place for (_, before), (_, after) in pairwise(points)]
    low, high = min(values), max(values)
    words = (
        f"{span.name}: the value went from {values[0]:,} to {values[-1]:,}, lowest {low:,}, "
        f"highest {high:,}; {_increments(sum(counts))}, at most {max(counts):,} in "
        f"{span.bucket_name}."
    )
    return format_html(
        '<svg role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}"'
        ' font-size="11" fill="var(--body-quiet-color)">{}{}{}</svg>',
        words,
        WIDTH,
        HEIGHT,
        WIDTH,
        HEIGHT,
        _labels(span, points[0][0], sum(counts), low, high),
        _line(values, span.buckets, low, high),
        _bars(points, counts),
    )


def _labels(span: Span, begin: datetime, total: int, low: int, high: int) -> SafeString:
    texts = [
        (LEFT, 13, "start", "bold", span.name),
        (RIGHT, 13, "end", "normal", _increments(total)),
        (LEFT, HIGHEST - 6, "start", "normal", f"{high:,}"),
        (LEFT, HEIGHT - 5, "start", "normal", f"{begin:%d %b %H:%M}"),
        (RIGHT, HEIGHT - 5, "end", "normal", "now"),
    ]
    if low != high:
        texts.append((LEFT, LOWEST + 12, "start", "normal", f"{low:,}"))
    text = '<text x="{}" y="{}" text-anchor="{}" font-weight="{}">{}</text>'
    return format_html_join("", text, texts)


def _line(values: list[int], buckets: int, low: int, high: int) -> SafeString:
    """The line through the last of the moments, and rules at its limits and at zero."""
    rules = {low, high, 0} if low < 0 < high else {low, high}
    rule = '<path d="M{} {}H{}" stroke="var(--border-color)"/>'
    step = (RIGHT - LEFT) / buckets
    begin = RIGHT - step * (len(values) - 1)
    corners = [
        (f"{begin + step * number:.1f}", f"{_height(value, low, high):.1f}")
        for number, value in enumerate(values)
    ]
    return format_html(
        '{}<polyline points="{}" fill="none" stroke="var(--link-fg)" stroke-width="1.5"'
        ' stroke-linejoin="round"/><circle cx="{}" cy="{}" r="2.5" fill="var(--link-fg)"/>',
        format_html_join(
            "", rule, ((LEFT, f"{_height(value, low, high):.1f}", RIGHT) for value in rules)
        ),
        " ".join(f"{x},{y}" for x, y in corners),
        *corners[-1],
    )


def _height(value: int, low: int, high: int) -> float:
    if low == high:
        return (HIGHEST + LOWEST) / 2
    return LOWEST - (LOWEST - HIGHEST) * (value - low) / (high - low)


def _bars(points: Sequence[Point], counts: list[int]) -> SafeString:
    """A bar for each bucket, in a column that tells its figures where the pointer is on it."""
    width = (RIGHT - LEFT) / len(counts)
    column = (
        '<g><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" fill="none"'
        ' pointer-events="all"/><rect x="{}" y="{}" width="{}" height="{}"'
        ' fill="var(--link-fg)" fill-opacity="0.6"/></g>'
    )
    columns = []
    for number, ((moment, standing), count) in enumerate(zip(points[1:], counts, strict=True)):
        x = f"{LEFT + width * number:.1f}"
        # One beside a million is to be seen, too.
        height = max((BARS_FOOT - BARS_TOP) * count / max(counts), 1) if count else 0
        columns.append(
            (
                f"until {moment:%d %b %H:%M}: {_increments(count)}, value {standing.value:,}",
                *(x, HIGHEST, f"{width:.1f}", BARS_FOOT - HIGHEST),
                *(x, f"{BARS_FOOT - height:.1f}", f"{width - 1:.1f}", f"{height:.1f}"),
            )
        )
    foot = format_html('<path d="M{} {}H{}" stroke="var(--border-color)"/>', LEFT, BARS_FOOT, RIGHT)
    return foot + format_html_join("", column, columns)


def _increments(count: int) -> str:
    return f"{count:,} increment{'' if count == 1 else 's'}"
