"""What the apps' admin pages have in common."""

from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from kit.directory import Viewer
from kit.errors import Refusal
from kit.models import Owner

LONGEST_SEARCH = 255  # characters, as of an increment's key
# How the filters and links of these pages ask.
LOOKUPS = {"exact", "gte", "lt", "isnull", "isempty"}


class FirstRows(Paginator):
    """Counts no further than anybody turns pages: a whole table is too long to be counted."""

    LIMIT = 10_000

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return self.object_list[: self.LIMIT].count()


class Searched(admin.ModelAdmin):
    """Rows that are searched for no more than there may be.

    Each word is a condition for each field, and some thousand words took a thread for a minute.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """What there is a filter or a link for.

        Django takes any question to a row's own fields: a regular expression of whoever asks it,
        and some on which it fails.
        """
        allowed = super().lookup_allowed(lookup, value, request)
        name, *more = lookup.split("__")
        if name not in {field.name for field in self.opts.get_fields()}:
            return allowed  # a filter's own name, or no one's
        filtered = [each[0] if isinstance(each, tuple) else each for each in self.list_filter]
        is_known = name in filtered or name == "user_id" or self.opts.get_field(name).is_relation
        is_plain = not more or more[-1] in LOOKUPS
        return allowed and is_known and is_plain

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if len(search_term) > LONGEST_SEARCH:
            told = f"A search has at most {LONGEST_SEARCH} characters."
            self.message_user(request, told, messages.ERROR)
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)


class ReadOnly(Searched):
    """Rows to be looked at only: a hand edit would break a guarantee."""

    show_full_result_count = False
    paginator = FirstRows

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ByOperations(Searched):
    """Rows that are changed and deleted by their app's operations, as over HTTP.

    Django's own views wrap what they do in a transaction; an operation opens one itself.
    """

    show_full_result_count = False
    paginator = FirstRows

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

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


class OwnerAdmin(ReadOnly):
    """What an app's database knows of users. `of` is the model whose rows they own."""

    of: type[Model]
    fields = ["id", "user_link", "rows_link", "tombstoned_at", "purged_rows", "purged_at"]
    list_display = ["__str__", "user_link", "rows_link", "tombstoned_at", "purged_rows"]
    list_filter = [("tombstoned_at", admin.EmptyFieldListFilter)]
    search_fields = ["username", "=id"]
    ordering = ["-id"]

    @admin.display(description="user")
    def user_link(self, owner: Owner) -> str:
        if owner.tombstoned_at:
            return "deleted"
        address = reverse("admin:users_user_change", args=[owner.id])
        return format_html('<a href="{}">{}</a>', address, owner.username)

    @admin.display(description="what they own")
    def rows_link(self, owner: Owner) -> str:
        opts = self.of._meta
        page = f"admin:{opts.app_label}_{opts.model_name}_changelist"
        address = reverse(page, query={"owner__id__exact": owner.id})
        return format_html('<a href="{}">their {}</a>', address, opts.verbose_name_plural)


def operator(request: HttpRequest) -> Viewer:
    """Who operates here. Whom Django's own permissions let in may see and do everything."""
    return Viewer(user_id=request.user.pk, is_staff=True)  # type: ignore[arg-type]  # signed in
