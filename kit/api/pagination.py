"""Pages of a list that stay right while rows come and go.

A cursor names the row at the edge of a page by the values that the list is ordered by
("keyset" or "seek" pagination, https://use-the-index-luke.com/no-offset). No row is
shown twice or left out because another one was inserted or deleted meanwhile.
"""

from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.core import signing
from django.db.models import F, Field, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

# By the values of a row that a list is ordered by.
Position = Sequence[str | int | None]
# The first so many rows, in order: of all, or of those beyond a position, forwards or backwards.
Find = Callable[[int, Position | None, bool], list[Any]]
NO_ROWS = Q(pk__in=[])
# Signed with each cursor: one of another form is none. Once they carried a time, without this.
FORMAT = "2 "


class Key(NamedTuple):
    """A column that a list is ordered by. Nulls come last, in either direction."""

    column: "Field[Any, Any]"
    descending: bool

    def order(self, *, backwards: bool) -> OrderBy:
        descending = self.descending != backwards
        if not self.column.null:
            return OrderBy(F(self.column.name), descending=descending)
        edge = "nulls_first" if backwards else "nulls_last"
        return OrderBy(F(self.column.name), descending=descending, **{edge: True})

    def at(self, value: str | int | None) -> Q:
        """The rows that have `value`."""
        if value is None:
            return self._is_null
        return Q(**{self.column.name: self.column.to_python(value)})

    def beyond(self, value: str | int | None, *, backwards: bool) -> Q:
        """The rows that come after `value`; backwards, those before it."""
        if value is None:
            return ~self._is_null if backwards else NO_ROWS
        comparison = "lt" if self.descending != backwards else "gt"
        rows = Q(**{f"{self.column.name}__{comparison}": self.column.to_python(value)})
        return rows | self._is_null if self.column.null and not backwards else rows

    def value_in(self, row: Model) -> str | None:
        value = self.column.value_from_object(row)
        return None if value is None else self.column.value_to_string(row)

    @property
    def _is_null(self) -> Q:
        return Q(**{f"{self.column.name}__isnull": True})


class NewestFirst(CursorPagination):
    """Newest first by id, which is a UUIDv7, or as the queryset is already ordered.

    An ordering filter of either kind may have ordered the queryset by its model's
    columns, or by annotations; the id, in the direction of the last of them, settles what
    they leave equal.

    DRF's own way of finding its place is replaced: it follows one column and an offset,
    so it loses its place when one of many equal rows goes, and cannot get past a null.
    """

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    page_size_query_description = "Results to a page: 50, and 200 where more are asked for."

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        keys = keys_of(queryset)

        def find(number: int, position: Position | None, backwards: bool) -> list[Any]:
            found = queryset.order_by(*(key.order(backwards=backwards) for key in keys))
            if position:
                found = found.filter(beyond(keys, position, backwards=backwards))
            return list(found[:number])

        return self.paginate(
            request,
            f"{queryset.model._meta.label} {queryset.query.order_by}",
            find,
            position_of=lambda row: [key.value_in(row) for key in keys],
        )

    def paginate(
        self, request: Request, name: str, find: Find, position_of: Callable[[Any], Position]
    ) -> list[Any]:
        """A page of the rows that `find` gives. `name`: of what, and in which order."""
        size = self.get_page_size(request)
        self.position_of = position_of
        self.signer = signing.Signer(salt=f"{FORMAT}{name} {self.list_of(request)}")
        self.request = request
        backwards, position = self.read_cursor(request)

        rows = find(size + 1, position, backwards)
        there_is_more, came_from_beyond = len(rows) > size, position is not None
        rows = rows[:size]
        if backwards:
            rows.reverse()

        self.has_previous = there_is_more if backwards else came_from_beyond
        self.has_next = came_from_beyond if backwards else there_is_more
        self.display_page_controls = self.has_previous or self.has_next
        self.rows = rows
        return rows

    def list_of(self, request: Request) -> str:
        """Which list it is: its address, and all that was asked for but for the page."""
        of_the_page = (self.cursor_query_param, self.page_size_query_param)
        asked = [each for each in request.query_params.lists() if each[0] not in of_the_page]
        return f"{request.path}?{urlencode(sorted(asked), doseq=True)}"

    def get_page_size(self, request: Request) -> int:
        """Raises ValidationError for anything but a whole number from 1."""
        asked = request.query_params.get(self.page_size_query_param, self.page_size)
        try:
            size = int(asked)
        except ValueError:
            size = 0
        if size < 1:
            message = "A whole number from 1 is needed."
            raise ValidationError({self.page_size_query_param: [message]})
        return min(size, self.max_page_size)

    def page_of(self, results: list[Any]) -> dict[str, Any]:
        """What an answer says: the page, and the addresses of those around it."""
        return {
            "next": self.get_next_link(),
            "previous": self.get_previous_link(),
            "results": results,
        }

    def get_paginated_response(self, data: Any) -> Response:
        return Response(self.page_of(data))

    def get_next_link(self) -> str | None:
        return self._link(self.rows[-1:], backwards=False) if self.has_next else None

    def get_previous_link(self) -> str | None:
        return self._link(self.rows[:1], backwards=True) if self.has_previous else None

    def _link(self, edge: list[Any], *, backwards: bool) -> str:
        """The page beyond the row in `edge`; without one, the first page, or the last."""
        position = self.position_of(edge[0]) if edge else None
        cursor = self.signer.sign_object([backwards, position])  # has no character to quote
        return f"{self._address}{self.cursor_query_param}={cursor}"

    @cached_property
    def _address(self) -> str:
        """Of all pages, up to where the cursor is named."""
        address, _, query = self.request.build_absolute_uri().partition("?")
        name = f"{self.cursor_query_param}="
        asked = [f"{each}&" for each in query.split("&") if each and not each.startswith(name)]
        return f"{address}?{''.join(asked)}"

    def read_cursor(self, request: Request) -> tuple[bool, Position | None]:
        """Raises ValidationError for a cursor that this list in this order did not give.

        It is signed, so what it says needs no further look.
        """
        cursor = request.query_params.get(self.cursor_query_param)
        if cursor is None:
            return False, None
        try:
            backwards, position = self.signer.unsign_object(cursor)
        except signing.BadSignature:
            message = "This cursor does not belong to this list in this order."
            raise ValidationError({self.cursor_query_param: [message]}) from None
        return backwards, position

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        parameters = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] |= {"minimum": 1, "default": self.page_size}
        return parameters


def keys_of(queryset: QuerySet[Any]) -> list[Key]:
    """The columns that the queryset is ordered by, down to one without equals."""
    asked = [str(name) for name in queryset.query.order_by] or ["-pk"]
    keys = [Key(_column(queryset, name.lstrip("-")), name.startswith("-")) for name in asked]
    if not any(key.column.primary_key for key in keys):
        keys.append(Key(queryset.model._meta.pk, keys[-1].descending))
    return keys


def _column(queryset: QuerySet[Any], name: str) -> "Field[Any, Any]":
    annotation = queryset.query.annotations.get(name)
    column: Field[Any, Any]
    if name == "pk":
        column = queryset.model._meta.pk
    elif annotation is None:
        column = queryset.model._meta.get_field(name)
    else:
        column = copy(annotation.output_field)
        column.set_attributes_from_name(name)
    return column


def beyond(keys: Sequence[Key], position: Position, *, backwards: bool) -> Q:
    """The rows after this position, or before it: (a, b) > (x, y) as a > x or a = x and b > y."""
    rows = NO_ROWS
    for key, value in reversed(list(zip(keys, position, strict=True))):
        rows = key.beyond(value, backwards=backwards) | (key.at(value) & rows)
    return rows
