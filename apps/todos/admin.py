"""Todos, and what the todos database knows of users, for the people who run the service.

A todo may be changed and deleted here, by the same operations as over HTTP. Owners and
the cursor may only be looked at: a hand edit would break the fence, or the feed.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from apps.todos.errors import TodoNotFound
from apps.todos.models import FeedCursor, Owner, Todo
from apps.todos.operations import change_todo, delete_todo
from kit.admin import ReadOnly
from kit.directory import Viewer
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
class TodoAdmin(admin.ModelAdmin):
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
    show_full_result_count = False

    @admin.display(description="owner", ordering="owner__username")
    def owner_link(self, todo: Todo) -> str:
        address = reverse("admin:todos_owner_change", args=[todo.owner_id])
        return format_html('<a href="{}">{}</a>', address, todo.owner)

    @admin.display(description="completed", ordering="completed_at", boolean=True)
    def is_completed(self, todo: Todo) -> bool:
        return todo.completed

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    # Django's own views wrap these in a transaction; an operation opens one itself.

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        try:
            return self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined, no-any-return]
        except Refusal as refusal:
            return self._told(request, refusal)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return self._delete_view(request, object_id, extra_context)  # type: ignore[attr-defined, no-any-return]
        except Refusal as refusal:
            return self._told(request, refusal)

    def _told(self, request: HttpRequest, refusal: Refusal) -> HttpResponse:
        self.message_user(request, refusal.message, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Todo, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        changes.pop("version_read", None)
        version = form.cleaned_data["version_read"]
        change_todo(todo_id=obj.id, viewer=_staff(request), version=version, **changes)

    def delete_model(self, request: HttpRequest, obj: Todo) -> None:
        delete_todo(todo_id=obj.id, viewer=_staff(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Todo]) -> None:
        for todo in queryset:
            try:
                self.delete_model(request, todo)
            except TodoNotFound:
                continue  # somebody was quicker


def _staff(request: HttpRequest) -> Viewer:
    """Whom Django's own permissions let in here may see and do everything."""
    return Viewer(user_id=request.user.pk, is_staff=True)  # type: ignore[arg-type]  # signed in


@admin.register(Owner)
class OwnerAdmin(ReadOnly):
    fields = ["id", "user_link", "todos_link", "tombstoned_at", "purged_rows", "purged_at"]
    list_display = ["__str__", "user_link", "todos_link", "tombstoned_at", "purged_rows"]
    list_filter = [("tombstoned_at", admin.EmptyFieldListFilter)]
    search_fields = ["username", "=id"]
    ordering = ["-id"]

    @admin.display(description="user")
    def user_link(self, owner: Owner) -> str:
        if owner.tombstoned_at:
            return "deleted"
        address = reverse("admin:users_user_change", args=[owner.id])
        return format_html('<a href="{}">{}</a>', address, owner.username)

    @admin.display(description="todos")
    def todos_link(self, owner: Owner) -> str:
        address = reverse("admin:todos_todo_changelist", query={"owner__id__exact": owner.id})
        return format_html('<a href="{}">their todos</a>', address)


@admin.register(FeedCursor)
class FeedCursorAdmin(ReadOnly):
    list_display = ["__str__"]
