"""Counters and their increments over HTTP: translates, then makes one call inward."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from apps.counter.api.filters import IncrementFilters
from apps.counter.api.serializers import (
    CounterSerializer,
    NewIncrementSerializer,
    ReceiptSerializer,
)
from apps.counter.models import Counter, Increment
from apps.counter.operations import (
    accept_increment,
    change_counter,
    create_counter,
    delete_counter,
)
from apps.counter.queries import get_counter, get_increment, list_counters, list_increments
from kit.api.viewers import viewer_of


def location(description: str, *statuses: int) -> OpenApiParameter:
    return OpenApiParameter(
        "Location",
        OpenApiTypes.URI_REF,
        OpenApiParameter.HEADER,
        response=statuses,
        description=description,
    )


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    pattern=r"^[!-~]{1,255}$",
    description="The key, for who does not send it in the body.",
)
GONE = OpenApiResponse(description="It is gone, and its ledger with it.")
GOING = OpenApiResponse(description="It is gone. Its ledger is being removed.")
ACCEPTED = OpenApiResponse(ReceiptSerializer, description="It will be counted.")
KNOWN = OpenApiResponse(ReceiptSerializer, description="The key was sent before: as it stands.")


@extend_schema(tags=["Counters"])
@extend_schema_view(
    list=extend_schema(description="Your own counters and others' public ones; staff see all.")
)
class CounterViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet[Counter]):
    """Tallies. `value + pending.amount` is exact at the moment of reading."""

    lookup_field = "id"
    lookup_value_converter = "uuid"
    serializer_class = CounterSerializer

    def get_queryset(self) -> QuerySet[Counter]:
        return list_counters(viewer_of(self.request))

    def get_object(self) -> Counter:
        return get_counter(self.kwargs["id"], viewer_of(self.request))

    @extend_schema(parameters=[location("The new counter's address.", 201)])
    def create(self, request: Request) -> Response:
        """Creates a counter of your own. 409 for an account that is being deleted."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        counter = create_counter(owner_id=viewer_of(request).user_id, **serializer.validated_data)
        return Response(
            self.get_serializer(counter).data,
            status=status.HTTP_201_CREATED,
            headers={"Location": reverse("counter-detail", args=[counter.id])},
        )

    def partial_update(self, request: Request, id: UUID) -> Response:
        """Changes what it is called and who sees it; its value changes by increments only."""
        serializer = self.get_serializer(self.get_object(), data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        counter = change_counter(
            counter_id=id, viewer=viewer_of(request), **serializer.validated_data
        )
        return Response(self.get_serializer(counter).data)

    @extend_schema(responses={204: GONE, 202: GOING})
    def destroy(self, request: Request, id: UUID) -> Response:
        """Deletes the counter at once, and a long ledger of it in the background."""
        is_gone = delete_counter(counter_id=id, viewer=viewer_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT if is_gone else status.HTTP_202_ACCEPTED)


@extend_schema(tags=["Counters"])
class IncrementViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet[Increment]):
    """A counter's ledger: a receipt for each of its increments."""

    lookup_field = "id"
    lookup_value_converter = "uuid"
    queryset = Increment.objects.none()  # for the schema, which has no counter's id
    filterset_class = IncrementFilters

    def get_queryset(self) -> QuerySet[Increment]:
        return list_increments(self.kwargs["counter_id"], viewer_of(self.request))

    def get_object(self) -> Increment:
        return get_increment(self.kwargs["counter_id"], self.kwargs["id"], viewer_of(self.request))

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        # Not by the action: the page with the list has the form of a new one on it.
        return NewIncrementSerializer if self.request.method == "POST" else ReceiptSerializer

    @extend_schema(
        parameters=[IDEMPOTENCY_KEY, location("The receipt's address.", 200, 202)],
        request=NewIncrementSerializer,
        responses={202: ACCEPTED, 200: KNOWN},
    )
    def create(self, request: Request, counter_id: UUID) -> Response:
        """Counts `amount`, once for each key.

        Once this has answered no crash loses the increment, and sending it again with the same
        key is harmless, for ever; with another amount it is refused with 422. Without a key the
        server makes one.
        """
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        increment, is_new = accept_increment(
            counter_id=counter_id, viewer=viewer_of(request), **serializer.validated_data
        )
        return Response(
            ReceiptSerializer(increment).data,
            status=status.HTTP_202_ACCEPTED if is_new else status.HTTP_200_OK,
            headers={
                "Location": reverse("counter-increment-detail", args=[counter_id, increment.id])
            },
        )
