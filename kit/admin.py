"""What the apps' admin pages have in common."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from kit.directory import Viewer
from kit.errors import Refusal


class ReadOnly(admin.ModelAdmin):
    """Rows to be looked at only: a hand edit would break a guarantee."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ByOperations(admin.ModelAdmin):
    """Rows that are changed and deleted by their app's operations, as over HTTP.

    Django's own views wrap what they do in a transaction; an operation opens one itself.
    """

    show_full_result_count = False

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


def operator(request: HttpRequest) -> Viewer:
    """Who operates here. Whom Django's own permissions let in may see and do everything."""
    return Viewer(user_id=request.user.pk, is_staff=True)  # type: ignore[arg-type]  # signed in
