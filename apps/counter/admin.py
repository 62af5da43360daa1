"""Counters and their ledger, for the people who run the service.

A counter is renamed, hidden and deleted here by the same operations as over HTTP. Its value
is not: only increments move it. The ledger, owners and the cursor may only be looked at.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.counter.errors import CounterNotFound
from apps.counter.models import Counter, FeedCursor, Increment, Owner
from apps.counter.operations import change_counter, delete_counter
from apps.counter.queries import in_state, with_pending
from kit.admin import ByOperations, OwnerAdmin, ReadOnly, operator


@admin.register(Counter)
class CounterAdmin(ByOperations):
    fields = [
        "name",
        "owner_link",
        "description",
        "visibility",
        "value",
        "pending",
        "increments_link",
        "created_at",
        "updated_at",
        "deleted_at",
    ]
    readonly_fields = [
        "owner_link",
        "value",
        "pending",
        "increments_link",
        "created_at",
        "updated_at",
        "deleted_at",
    ]
    list_display = [
        "name",
        "owner_link",
        "value",
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

    @admin.display(description="owner", ordering="owner__username")
    def owner_link(self, counter: Counter) -> str:
        address = reverse("admin:counter_owner_change", args=[counter.owner_id])
        return format_html('<a href="{}">{}</a>', address, counter.owner)

    @admin.display
    def pending(self, counter: Any) -> str:
        return f"{counter.pending_amount:+d} in {counter.pending_count}"

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


class StateFilter(admin.SimpleListFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return Increment.State.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.value()
        return queryset.filter(in_state(state)) if state in Increment.State.values else queryset


@admin.register(Increment)
class IncrementAdmin(ReadOnly):
    fields = ["key", "counter_link", "amount", "state", "result", "accepted_at", "settled_at"]
    list_display = ["key", "counter_link", "amount", "state", "result", "accepted_at", "settled_at"]
    list_filter = [StateFilter]
    list_select_related = ["counter"]
    search_fields = ["key__exact"]
    search_help_text = "The whole key. Faster within the ledger of one counter."
    ordering = ["-id"]

    @admin.display(description="counter")
    def counter_link(self, increment: Increment) -> str:
        address = reverse("admin:counter_counter_change", args=[increment.counter_id])
        return format_html('<a href="{}">{}</a>', address, increment.counter)


@admin.register(Owner)
class CounterOwnerAdmin(OwnerAdmin):
    of = Counter


@admin.register(FeedCursor)
class FeedCursorAdmin(ReadOnly):
    list_display = ["__str__"]
