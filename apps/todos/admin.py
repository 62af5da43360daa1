"""Todos, and what the todos database knows of users, for the people who run the service.

A todo may be changed and deleted here, brought back and made what it was, by the same
operations as over HTTP. Changes, owners and the cursor may only be looked at: a hand edit would
break the history, the fence, or the feed.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from apps.todos.errors import TodoNotDeleted, TodoNotFound
from apps.todos.models import Change, FeedCursor, Owner, Todo
from apps.todos.operations.writing import change_todo, delete_todo, restore_todo, restore_version
from apps.todos.queries.listing import mentioning
from kit.admin import ByOperations, OwnerAdmin, ReadOnly, operator
from kit.errors import Refusal


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
        "deleted_at",
        "version",
        "changes_link",
        "version_read",
    ]
    readonly_fields = [
        *("owner_link", "completed_at", "created_at", "updated_at", "deleted_at", "version"),
        "changes_link",
    ]
    list_display = [
        "title",
        "owner_link",
        "category",
        "is_completed",
        "due_at",
        "visibility",
        "created_at",
        "deleted_at",
    ]
    list_filter = [
        ("completed_at", admin.EmptyFieldListFilter),
        ("deleted_at", admin.EmptyFieldListFilter),
        "visibility",
        "due_at",
        "created_at",
    ]
    list_select_related = ["owner"]
    search_fields = ["owner__username"]  # and the title and content, by their index
    search_help_text = "Words, or parts of words, of a todo; or the owner's name."
    ordering = ["-id"]
    actions = ["restore"]

    @admin.display(description="owner", ordering="owner__username")
    def owner_link(self, todo: Todo) -> str:
        address = reverse("admin:todos_owner_change", args=[todo.owner_id])
        return format_html('<a href="{}">{}</a>', address, todo.owner)

    @admin.display(description="completed", ordering="completed_at", boolean=True)
    def is_completed(self, todo: Todo) -> bool:
        return todo.completed

    @admin.display(description="what became of it")
    def changes_link(self, todo: Todo) -> str:
        address = reverse("admin:todos_change_changelist", query={"todo__id__exact": todo.id})
        return format_html('<a href="{}">its changes</a>', address)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Todo], search_term: str
    ) -> tuple[QuerySet[Todo], bool]:
        by_owner, repeats = super().get_search_results(request, queryset, search_term)
        if by_owner.query.is_empty() or not search_term.strip():
            return by_owner, repeats
        owners = Owner.objects.filter(username__icontains=search_term.strip()).values("id")
        return queryset.filter(Q(id__in=mentioning(search_term)) | Q(owner__in=owners)), False

    @admin.action(permissions=["change"], description="Restore selected todos from the trash")
    def restore(self, request: HttpRequest, queryset: QuerySet[Todo]) -> None:
        restored = 0
        for todo in queryset:
            try:
                restore_todo(todo_id=todo.id, viewer=operator(request))
            except (TodoNotFound, TodoNotDeleted):
                continue  # it was not in the trash, or its account is being deleted
            restored += 1
        self.message_user(request, f"Restored: {restored}.", messages.SUCCESS)

    def has_change_permission(self, request: HttpRequest, obj: Todo | None = None) -> bool:
        """What is in the trash has to be brought back first."""
        is_there = obj is None or obj.deleted_at is None
        return is_there and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Todo | None = None) -> bool:
        is_there = obj is None or obj.deleted_at is None
        return is_there and super().has_delete_permission(request, obj)

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


@admin.register(Change)
class ChangeAdmin(ReadOnly):
    """What became of todos. A todo is made what it was behind one of its changes by an action."""

    fields = ["todo_link", "version", "at", "by", "what"]
    list_display = ["__str__", "todo_link", "by", "at", "fields_changed"]
    list_filter = ["at"]
    list_select_related = ["todo", "by"]
    ordering = ["-id"]
    actions = ["make_it_this_again"]

    @admin.display(description="todo")
    def todo_link(self, change: Change) -> str:
        address = reverse("admin:todos_todo_change", args=[change.todo_id])
        return format_html('<a href="{}">{}</a>', address, change.todo)

    @admin.display(description="fields")
    def fields_changed(self, change: Change) -> str:
        return ", ".join(change.changes) or "none"

    @admin.display(description="from what to what")
    def what(self, change: Change) -> str:
        rows = [[name, was, became] for name, (was, became) in change.changes.items()]
        return format_html_join("", "<p><b>{}</b>: {} → {}</p>", rows)

    def has_undo_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("todos.change_todo")

    @admin.action(permissions=["undo"], description="Make the todo what it was behind this change")
    def make_it_this_again(self, request: HttpRequest, queryset: QuerySet[Change]) -> None:
        if len(queryset) != 1:
            self.message_user(request, "Choose one change.", messages.ERROR)
            return
        (change,) = queryset
        try:
            todo = restore_version(
                todo_id=change.todo_id, number=change.version, viewer=operator(request)
            )
        except Refusal as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
        else:
            self.message_user(request, f"Done: {todo}.", messages.SUCCESS)


@admin.register(Owner)
class TodoOwnerAdmin(OwnerAdmin):
    of = Todo


@admin.register(FeedCursor)
class FeedCursorAdmin(ReadOnly):
    list_display = ["__str__"]
