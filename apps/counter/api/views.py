"""Counters and their increments over HTTP: translates, then makes one call inward."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_view,
)
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from apps.counter.accepting import Receipt, accept_increment, accept_increments
from apps.counter.api.asking import (
    MOST_INCREMENTS,
    asked_for,
    is_one_increment,
    moment_asked_for,
    seconds_to_wait,
)
from apps.counter.api.filters import IncrementFilters
from apps.counter.api.serializers import (
    AcceptedSerializer,
    CounterSerializer,
    NewIncrementSerializer,
    ReceiptSerializer,
    receipt_of,
)
from apps.counter.api.waiting import wait_until_settled
from apps.counter.models import Counter, Increment
from apps.counter.operations import change_counter, create_counter, delete_counter
from apps.counter.queries import (
    get_counter,
    get_increment,
    get_value_at,
    list_counters,
    list_increments,
)
from kit.api.bodies import answered
from kit.api.signing_in import SignsInLater
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
PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`wait=N`: answer when the increment is applied, or after N seconds, at most 30. "
    "Not for an array.",
)
PREFERENCE_APPLIED = OpenApiParameter(
    "Preference-Applied",
    str,
    OpenApiParameter.HEADER,
    response=[200],
    description="`wait=N`, where it was settled within N seconds.",
)
ACCEPTED = OpenApiResponse(
    PolymorphicProxySerializer(
        "ReceiptOrSummary", [ReceiptSerializer, AcceptedSerializer], resource_type_field_name=None
    ),
    description="It will be counted.",
)
ONE = {"$ref": "#/components/schemas/NewIncrementRequest"}
SOME = {"type": "array", "items": ONE, "minItems": 1, "maxItems": MOST_INCREMENTS}
ONE_OR_MORE = {
    "application/json": {"oneOf": [ONE, SOME]},
    "application/x-www-form-urlencoded": NewIncrementSerializer,
    "multipart/form-data": NewIncrementSerializer,
}
KNOWN = OpenApiResponse(
    ReceiptSerializer, description="The key was sent before, or you waited: as it stands."
)
AT = OpenApiParameter(
    "at",
    OpenApiTypes.DATETIME,
    description="The value at this moment of the past. What was pending then is not told.",
)


@extend_schema(tags=["Counters"])
@extend_schema_view(
    list=extend_schema(description="Your own counters and others' public ones; staff see all.")
)
class CounterViewSet(ListModelMixin, GenericViewSet[Counter]):
    """Tallies. `value + pending.amount` is exact at the moment of reading."""

    lookup_field = "id"
    lookup_value_converter = "uuid"
    serializer_class = CounterSerializer

    def get_queryset(self) -> QuerySet[Counter]:
        return list_counters(viewer_of(self.request))

    def get_object(self) -> Counter:
        return get_counter(self.kwargs["id"], viewer_of(self.request))

    @extend_schema(parameters=[AT])
    def retrieve(self, request: Request, id: UUID) -> Response:
        """The counter as it stands, or with the value that it had `at` a moment of the past."""
        answer = self.get_serializer(self.get_object()).data
        moment = moment_asked_for(request)
        if moment is not None:
            answer |= {"value": get_value_at(id, viewer_of(request), moment), "pending": None}
        return Response(answer)

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
class IncrementViewSet(SignsInLater, ListModelMixin, RetrieveModelMixin, GenericViewSet[Increment]):
    """A counter's ledger: a receipt for each of its increments."""

    lookup_field = "id"
    lookup_value_converter = "uuid"
    queryset = Increment.objects.none()  # for the schema, which has no counter's id
    filterset_class = IncrementFilters

    def get_queryset(self) -> QuerySet[Increment]:
        return list_increments(self.kwargs["counter_id"], viewer_of(self.request))

    def get_object(self) -> Increment:
        return get_increment(self.kwargs["counter_id"], self.kwargs["id"], viewer_of(self.request))

    def may_sign_in_later(self, request: Request) -> bool:
        """Who sends one increment is looked up together with who does so at the same time."""
        return request.method == "POST" and is_one_increment(request)

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        # Not by the action: the page with the list has the form of a new one on it.
        return NewIncrementSerializer if self.request.method == "POST" else ReceiptSerializer

    @extend_schema(
        parameters=[
            IDEMPOTENCY_KEY,
            PREFER,
            location("The receipt's address.", 200, 202),
            PREFERENCE_APPLIED,
        ],
        request=ONE_OR_MORE,
        responses={202: ACCEPTED, 200: KNOWN},
    )
    def create(self, request: Request, counter_id: UUID) -> HttpResponseBase:
        """Counts `amount`, once for each key; or an array of up to 10,000, all or none of them.

        Once this has answered no crash loses the increment, and sending it again with the same
        key is harmless, for ever; with another amount it is refused with 422. Without a key the
        server makes one.
        """
        asked = asked_for(request)
        wait = seconds_to_wait(request)
        if isinstance(asked, list):
            receipts = accept_increments(
                counter_id=counter_id, viewer=viewer_of(request), increments=asked
            )
            return Response(summary(receipts), status=status.HTTP_202_ACCEPTED)
        amount, key = asked
        viewer = self.bearer or viewer_of(request)
        receipt = accept_increment(counter_id=counter_id, viewer=viewer, amount=amount, key=key)
        settled = wait_until_settled(receipt, wait) if wait else None
        # Not reversed: that takes longer than to accept it.
        headers = {"Location": f"{request.path}{receipt.id}/"}
        if settled is not None:
            headers["Preference-Applied"] = f"wait={wait}"
        return answered(
            request,
            receipt_of(settled or receipt),
            status=202 if receipt.is_new and settled is None else 200,
            headers=headers,
        )


def summary(receipts: list[Receipt]) -> dict[str, Any]:
    accepted = sum(receipt.is_new for receipt in receipts)
    return {
        "accepted": accepted,
        "duplicates": len(receipts) - accepted,
        "results": [{"key": receipt.key, "id": receipt.id} for receipt in receipts],
    }
