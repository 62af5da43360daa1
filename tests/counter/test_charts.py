"""The charts of a counter: what they draw, and that they say it in words, too."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import pytest
from django.db import connections

from apps.counter.charts import HEIGHT, WIDTH, Span, describe_activity, draw_chart
from apps.counter.consumer import LARGEST, SMALLEST
from apps.counter.models import Counter
from apps.counter.queries import Standing
from tests.counter.reading import fill_ledger, rows_read

NOW = datetime(2031, 5, 17, 12, 0, tzinfo=UTC)
SPAN = Span("Last 40 minutes", 4, timedelta(minutes=10), "10 minutes")
LONG_AGO = NOW - timedelta(days=1000)


def draw(
    *values: int, places: Sequence[int] = (0, 0, 0, 0, 0), created_at: datetime = LONG_AGO
) -> ElementTree.Element:
    standings = [Standing(*each) for each in zip(values, places, strict=True)]
    points = list(zip(SPAN.moments(NOW), standings, strict=True))
    return ElementTree.fromstring(draw_chart(SPAN, points, created_at))  # noqa: S314 - our own


def texts(chart: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in chart.iter("text")]


def corners(chart: ElementTree.Element) -> list[tuple[float, float]]:
    [line] = chart.iter("polyline")
    pairs = [pair.split(",") for pair in line.attrib["points"].split()]
    return [(float(x), float(y)) for x, y in pairs]


def bars(chart: ElementTree.Element) -> list[float]:
    """How high each bar is."""
    seen = [rect.attrib for rect in chart.iter("rect") if rect.attrib["fill"] != "none"]
    return [float(rect["height"]) for rect in seen]


class TestChart:
    def test_goes_up_and_down_with_the_value(self) -> None:
        chart = draw(10, 40, 40, 5, 25)

        heights = [-y for _, y in corners(chart)]
        assert heights[3] < heights[0] < heights[4] < heights[1] == heights[2]
        assert {"40", "5"} <= set(texts(chart))

    def test_has_a_bar_for_the_increments_in_each_bucket(self) -> None:
        none, some, least, most = bars(draw(0, 0, 0, 0, 0, places=[7, 7, 507, 508, 1508]))

        assert none == 0
        assert most == 2 * some
        assert least == 1

    def test_says_in_words_what_it_shows(self) -> None:
        chart = draw(1000, 4000, 4000, -500, 2500, places=[1, 2, 3, 4, 1234])

        assert chart.attrib["role"] == "img"
        assert chart.attrib["aria-label"] == (
            "Last 40 minutes: the value went from 1,000 to 2,500, lowest -500, highest 4,000; "
            "1,233 increments, at most 1,230 in 10 minutes."
        )

    def test_tells_the_figures_under_the_pointer(self) -> None:
        titles = [title.text for title in draw(0, 0, 0, 3, 4, places=[0, 0, 0, 3, 4]).iter("title")]

        assert titles[-2:] == [
            "until 17 May 11:50: 3 increments, value 3",
            "until 17 May 12:00: 1 increment, value 4",
        ]

    def test_is_a_level_line_where_nothing_moves(self) -> None:
        chart = draw(0, 0, 0, 0, 0)

        assert len({y for _, y in corners(chart)}) == 1
        assert bars(chart) == [0, 0, 0, 0]
        assert texts(chart).count("0") == 1
        assert "0 increments" in texts(chart)

    def test_begins_at_zero_where_the_counter_does(self) -> None:
        born = NOW - timedelta(minutes=15)

        grown = draw(0, 0, 0, 3, 4, places=[0, 0, 0, 3, 4], created_at=born)
        restored = draw(0, 2, 2, 3, 4, places=[0, 2, 2, 3, 4], created_at=born)

        assert corners(grown) == corners(draw(0, 0, 0, 3, 4))[-3:]
        assert len(corners(restored)) == 5

    def test_is_a_dot_for_a_counter_of_the_future(self) -> None:
        """Another machine's clock may be ahead."""
        chart = draw(0, 0, 0, 0, 0, created_at=NOW + timedelta(seconds=1))

        assert len(corners(chart)) == 1
        assert len(list(chart.iter("circle"))) == 1

    def test_has_a_rule_at_zero_where_the_value_changes_its_sign(self) -> None:
        def rules(*values: int) -> int:
            return len(list(draw(*values).iter("path")))

        assert rules(-1, 0, 1, 2, 3) == rules(1, 2, 3, 4, 5) + 1

    @pytest.mark.parametrize(
        "values",
        [
            (SMALLEST, LARGEST, 0, SMALLEST, LARGEST),
            (LARGEST, LARGEST - 1, LARGEST, LARGEST, LARGEST),
            (-5, -4, -3, -2, -1),
        ],
    )
    def test_stays_within_itself(self, values: tuple[int, ...]) -> None:
        chart = draw(*values, places=[0, 1, 2**62, 2**62, LARGEST])

        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in corners(chart))
        assert len({y for _, y in corners(chart)}) == len(set(values))
        assert all(0 <= height <= HEIGHT for height in bars(chart))
        assert f"{max(values):,}" in texts(chart)

    def test_needs_no_script_no_style_and_nothing_from_elsewhere(self) -> None:
        points = [(moment, Standing(1, 1)) for moment in SPAN.moments(NOW)]

        assert not re.search(r"style|script|href|url|//| on\w+=", draw_chart(SPAN, points, NOW))


@pytest.mark.django_db(databases=["default", "counter"])
class TestActivity:
    def test_tells_how_fast_and_how_much_lately(self, tally: UUID) -> None:
        ages = {timedelta(hours=23): 1200, timedelta(minutes=59): 30, timedelta(seconds=9): 12}
        fill_ledger(tally, NOW, ages)

        activity = describe_activity(Counter.objects.get(id=tally), NOW)

        assert activity.rate == (
            "0.20 a second in the last minute, 42 in the last hour, 1,242 in the last day"
        )

    def test_has_charts_of_the_last_day_week_and_month(self, tally: UUID) -> None:
        ages = {timedelta(days=29): 1000, timedelta(days=6): 100, timedelta(hours=23): 10}
        fill_ledger(tally, NOW, {timedelta(days=31): 5} | ages)

        charts = describe_activity(Counter.objects.get(id=tally), NOW).charts

        assert [texts(ElementTree.fromstring(chart))[:2] for chart in charts] == [  # noqa: S314
            ["Last 24 hours", "10 increments"],
            ["Last 7 days", "110 increments"],
            ["Last 30 days", "1,110 increments"],
        ]
        assert "highest 1,115; " in charts[0]

    def test_is_one_look_however_long_the_ledger(
        self, tally: UUID, django_assert_num_queries: Any
    ) -> None:
        fill_ledger(tally, NOW, {timedelta(days=n): 500 for n in range(40)})
        counter = Counter.objects.get(id=tally)

        with django_assert_num_queries(1, connection=connections["counter"]) as queries:
            describe_activity(counter, NOW)

        assert rows_read(queries.captured_queries) < 200
