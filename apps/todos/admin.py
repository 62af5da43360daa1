"""Todos, and what the todos database knows of users, for the people who run the service.

A todo may be changed and deleted here, by the same operations as over HTTP. Owners and
the cursor may only be looked at: a hand edit would break the fence, or the feed.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from apps.todos.errors import TodoNotFound
from apps.todos.models import FeedCursor, Owner, Todo
from apps.todos.operations import change_todo, delete_todo
from kit.admin import ByOperations, OwnerAdmin, ReadOnly, operator


class TodoForm(forms.ModelForm):
    """Carries the version that was read: what has changed since is not written over."""

    tags = SimpleArrayField(
        forms.CharField(max_length=50),
        delimiter="\n",  # a tag may hold a comma
        max_length=20,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One to a line.",
    )
    completed = forms.BooleanField(required=False)
    version_read = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["completed"] = self.instance.completed
        self.initial["version_read"] = self.instance.version


@admin.register(Todo)
class TodoAdmin(ByOperations):
    form = TodoForm
    fields = [
        "title",
        "owner_link",
        "content",
        "category",
        "tags",
        "due_at",
        "completed",
        "completed_at",
        "visibility",
        "created_at",
        "updated_at",
        "version",
        "version_read",
    ]
    readonly_fields = ["owner_link", "completed_at", "created_at", "updated_at", "version"]
    list_display = [
        "title",
        "owner_link",
        "category",
        "is_completed",
        "due_at",
        "visibility",
        "created_at",
    ]
    list_filter = [
        ("completed_at", admin.EmptyFieldListFilter),
        "visibility",
        "due_at",
        "created_at",
    ]
    list_select_related = ["owner"]
    search_fields = ["title", "content", "owner__username"]
    ordering = ["-id"]

    @admin.display(description="owner", ordering="owner__username")
    def owner_link(self, todo: Todo) -> str:
        address = reverse("admin:todos_owner_change", args=[todo.owner_id])
        return format_html('<a href="{}">{}</a>', address, todo.owner)

    @admin.display(description="completed", ordering="completed_at", boolean=True)
    def is_completed(self, todo: Todo) -> bool:
        return todo.completed

    def save_model(self, request: HttpRequest, obj: Todo, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        changes.pop("version_read", None)
        version = form.cleaned_data["version_read"]
        change_todo(todo_id=obj.id, viewer=operator(request), version=version, **changes)

    def delete_model(self, request: HttpRequest, obj: Todo) -> None:
        delete_todo(todo_id=obj.id, viewer=operator(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Todo]) -> None:
        for todo in queryset:
            try:
                self.delete_model(request, todo)
            except TodoNotFound:
                continue  # somebody was quicker


@admin.register(Owner)
class TodoOwnerAdmin(OwnerAdmin):
    of = Todo


@admin.register(FeedCursor)
class FeedCursorAdmin(ReadOnly):
    list_display = ["__str__"]
