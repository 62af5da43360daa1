"""Counters and their ledger, for the people who run the service.

A counter is renamed, hidden and deleted here by the same operations as over HTTP. Its value
is not: only increments move it. The ledger, owners and the cursor may only be looked at;
of the inbox, what was set aside may be tried again.
"""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import format_html

from apps.counter.charts import describe_activity
from apps.counter.errors import CounterNotFound
from apps.counter.models import Counter, FeedCursor, Increment, Owner, Pending
from apps.counter.operations import (
    CHUNK_ROWS,
    change_counter,
    delete_counter,
    retry_set_aside,
)
from apps.counter.queries import in_state, with_key, with_pending
from kit.admin import ByOperations, OwnerAdmin, ReadOnly, operator


@admin.register(Counter)
class CounterAdmin(ByOperations):
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "name",
                    "owner_link",
                    "description",
                    "visibility",
                    "created_at",
                    "updated_at",
                    "deleted_at",
                ]
            },
        ),
        ("Tally", {"fields": ["tally", "pending", "set_aside", "increments_link"]}),
    ]
    readonly_fields = [
        "owner_link",
        "tally",
        "pending",
        "set_aside",
        "increments_link",
        "created_at",
        "updated_at",
        "deleted_at",
    ]
    list_display = [
        "name",
        "owner_link",
        "tally",
        "pending",
        "increments_link",
        "visibility",
        "created_at",
    ]
    list_filter = [
        "visibility",
        "created_at",
        ("deleted_at", admin.EmptyFieldListFilter),
    ]
    list_select_related = ["owner"]
    search_fields = ["name", "description", "owner__username", "=id"]
    ordering = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Counter]:
        return with_pending(super().get_queryset(request))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["activity"] = describe_activity(context["original"], timezone.now())
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="owner", ordering="owner__username")
    def owner_link(self, counter: Counter) -> str:
        address = reverse("admin:counter_owner_change", args=[counter.owner_id])
        return format_html('<a href="{}">{}</a>', address, counter.owner)

    @admin.display(description="value", ordering="value")
    def tally(self, counter: Counter) -> str:
        return f"{counter.value:,}"

    @admin.display
    def pending(self, counter: Any) -> str:
        count = counter.pending_count
        return f"{counter.pending_amount:+,} in {count:,}" if count else "none"

    @admin.display
    def set_aside(self, counter: Counter) -> str:
        count = Pending.objects.filter(counter=counter, set_aside_at__isnull=False).count()
        if not count:
            return "none"
        which = {"counter__id__exact": counter.id, SetAsideFilter.parameter_name: "yes"}
        address = reverse("admin:counter_pending_changelist", query=which)
        return format_html('<a href="{}">{} that could not be settled</a>', address, f"{count:,}")

    @admin.display(description="increments")
    def increments_link(self, counter: Counter) -> str:
        which = {"counter__id__exact": counter.id}
        address = reverse("admin:counter_increment_changelist", query=which)
        return format_html('<a href="{}">its ledger</a>', address)

    def save_model(self, request: HttpRequest, obj: Counter, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        change_counter(counter_id=obj.id, viewer=operator(request), **changes)

    def delete_model(self, request: HttpRequest, obj: Counter) -> None:
        delete_counter(counter_id=obj.id, viewer=operator(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Counter]) -> None:
        for counter in queryset:
            try:
                self.delete_model(request, counter)
            except CounterNotFound:
                continue  # somebody was quicker


class OfCounter(ReadOnly):
    """Rows that are a counter's increments."""

    list_select_related = ["counter"]
    show_facets = admin.ShowFacets.NEVER  # they would count all there is
    search_fields = ["key"]
    search_help_text = "The whole key."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        of_counter = request.GET.get("counter__id__exact")
        if not search_term:
            return queryset, False
        if of_counter:
            return with_key(queryset, UUID(of_counter), search_term), False
        return queryset.filter(key=search_term), False

    @admin.display(description="counter")
    def counter_link(self, increment: Increment | Pending) -> str:
        address = reverse("admin:counter_counter_change", args=[increment.counter_id])
        return format_html('<a href="{}">{}</a>', address, increment.counter)

    @admin.display(description="amount")
    def signed_amount(self, increment: Increment | Pending) -> str:
        return f"{increment.amount:+,}"


class StateFilter(admin.SimpleListFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return Increment.State.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.value()
        return queryset.filter(in_state(state)) if state in Increment.State.values else queryset


@admin.register(Increment)
class IncrementAdmin(OfCounter):
    """The increments of one counter. It has indexes for these, and for nothing else:

    a list of all counters' increments, another order, or a page that is addressed by an
    increment's id alone would read everything there is.
    """

    COUNTER = "counter__id__exact"

    list_display = [
        "key",
        "counter_link",
        "signed_amount",
        "state",
        "value_after",
        "accepted_at",
        "settled_at",
    ]
    list_display_links = None
    list_filter = [StateFilter]
    sortable_by = []
    ordering = ["-id"]

    def get_urls(self) -> list[URLPattern]:
        return [url for url in super().get_urls() if url.name == "counter_increment_changelist"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Increment]:
        increments = super().get_queryset(request)
        return increments if self.COUNTER in request.GET else increments.none()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.COUNTER not in request.GET:
            text = 'Increments are shown by counter: <a href="{}">choose one</a> and its ledger.'
            counters = reverse("admin:counter_counter_changelist")
            self.message_user(request, format_html(text, counters), messages.WARNING)
        return super().changelist_view(request, {"title": "Ledger", **(extra_context or {})})

    @admin.display(description="result")
    def value_after(self, increment: Increment) -> str | None:
        return None if increment.result is None else f"{increment.result:,}"


class SetAsideFilter(admin.SimpleListFilter):
    title, parameter_name = "set aside", "set_aside"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(set_aside_at__isnull=self.value() == "no")


@admin.register(Pending)
class PendingAdmin(OfCounter):
    """What is not settled yet: in a moment it will be, or it is set aside and says why."""

    fields = ["key", "counter_link", "signed_amount", "reason", "set_aside_at", "accepted_at"]
    list_display = ["key", "counter_link", "signed_amount", "reason", "set_aside_at", "accepted_at"]
    list_filter = [SetAsideFilter]
    sortable_by = []
    ordering = ["position"]
    actions = ["try_again"]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("counter.change_pending")

    @admin.action(description="Try again", permissions=["retry"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Pending]) -> None:
        chosen = queryset.filter(set_aside_at__isnull=False).values_list("position", flat=True)
        positions = list(chosen)
        chunks = (positions[n : n + CHUNK_ROWS] for n in range(0, len(positions), CHUNK_ROWS))
        retried = sum(retry_set_aside(positions=chunk) for chunk in chunks)
        text = f"Put back into the queue, of those that were set aside: {retried:,}."
        self.message_user(request, text, messages.SUCCESS if retried else messages.WARNING)


@admin.register(Owner)
class CounterOwnerAdmin(OwnerAdmin):
    of = Counter


@admin.register(FeedCursor)
class FeedCursorAdmin(ReadOnly):
    list_display = ["__str__"]
