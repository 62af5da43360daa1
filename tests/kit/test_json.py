"""JSON: what DRF would write, however it comes about."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.utils.functional import lazystr
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import Serializer
from rest_framework.utils.serializer_helpers import ReturnDict, ReturnList

from kit.api.bodies import QuickJSONRenderer


class Colour(StrEnum):
    RED = "red"


class Pair(NamedTuple):
    one: int
    other: str


ANY: Serializer[Any] = Serializer()
ANSWERS = [
    None,
    {},
    {"title": '우유 \U0001f95b " \\ / \x00\x1f\x7f\n', "tags": ["soon", ""], "content": None},
    {"value": 2**63, "sum": -(2**64), "small": -1, "share": 0.1, "large": 1e300, "yes": True},
    {1: "not a text", None: "nor this"},
    {"lazy": lazystr("said later"), "colour": Colour.RED},
    {"id": UUID(int=7), "amount": Decimal("1.50"), "pair": Pair(1, "two"), "wait": timedelta(1)},
    [datetime(2031, 5, 1, 8, 30, 0, 123456, UTC), datetime(2031, 5, 1), date(2031, 5, 1), time(8)],
    ReturnDict({"results": ReturnList([{"a": 1}], serializer=ANY)}, serializer=ANY),
    {str(number): [{"number": number, "squares": list(range(9))}] for number in range(99)},
]


class TestQuickJSON:
    @pytest.mark.parametrize("answer", ANSWERS, ids=range(len(ANSWERS)))
    @pytest.mark.parametrize("how", [(), ("application/json",), ("application/json; indent=2",)])
    def test_is_to_the_byte_what_drf_writes(self, answer: Any, how: tuple[str, ...]) -> None:
        assert QuickJSONRenderer().render(answer, *how) == JSONRenderer().render(answer, *how)

    def test_is_indented_for_a_page(self) -> None:
        context = {"indent": 4}

        written = QuickJSONRenderer().render({"a": [1]}, "application/json", context)

        assert written == b'{\n    "a": [\n        1\n    ]\n}'

    @pytest.mark.parametrize("answer", [{"object": object()}, {"half": "\ud800"}])
    def test_refuses_what_drf_refuses(self, answer: Any) -> None:
        with pytest.raises((TypeError, UnicodeEncodeError)):
            QuickJSONRenderer().render(answer, "application/json")
