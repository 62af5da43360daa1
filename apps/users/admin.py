"""Accounts, sign-ins, deletions and the feed, for the people who run the service.

An account is never deleted here, its deletion is requested. What proves something (the
feed, deletions and their steps) may only be looked at.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import actions as django_actions
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, PasswordChangeForm
from django.contrib.auth.models import Group
from django.contrib.auth.views import PasswordChangeView
from django.db import Error as DatabaseError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from apps.users.errors import StaffAccount, UserNotFound
from apps.users.events import user_changed
from apps.users.models import Deletion, DeletionStep, Session, Token, User, UserChange
from apps.users.operations.certificates import verify_deletions
from apps.users.operations.deletions import (
    cancel_deletion,
    pause_deletion,
    request_deletion,
    resume_deletion,
)
from apps.users.operations.passwords import set_password
from apps.users.operations.signing_in import count_own_try, end_session, revoke_token
from apps.users.sessions import digest_of
from kit.admin import ReadOnly, Searched
from kit.errors import Refusal
from kit.holdings import registered
from kit.transactions import after_commit

logger = logging.getLogger(__name__)

POWERS = ["is_staff", "is_superuser", "groups", "user_permissions"]
PAGE_ROWS = 500  # certificates verified at a time


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


def rows_link(model: type[Model], **which: Any) -> str:
    """A link to the list of these rows of a model, in whichever app."""
    opts = model._meta
    address = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist", query=which)
    return format_html('<a href="{}">{}</a>', address, opts.verbose_name_plural)


def save_only(user: User, fields: Iterable[str]) -> None:
    """Save these fields, and nothing over what else has changed since the row was read.

    A whole row would reopen an account whose deletion was requested meanwhile, or bring
    back one that is gone. Raises UserNotFound.
    """
    values = {field: getattr(user, field) for field in fields}
    saved = User.objects.filter(id=user.id).update(**values, updated_at=timezone.now())
    if not saved:
        raise UserNotFound


class PasswordForm(AdminPasswordChangeForm):
    """An operator's, for any account. It ends the account's sessions and tokens."""

    def save(self, commit: bool = True) -> User:
        user: User = super().save(commit=False)
        if commit:
            set_password(user_id=user.id, hashed=user.password)
        return user


class OwnPasswordForm(PasswordChangeForm):
    """One's own. The present password is a secret that can be tried, and is counted as such."""

    required_css_class = "required"

    def clean_old_password(self) -> str:
        count_own_try(self.user.id)
        return str(super().clean_old_password())

    def save(self, commit: bool = True) -> User:
        known = self.user.password
        user: User = super().save(commit=False)
        if commit:
            set_password(user_id=user.id, hashed=user.password, instead_of=known)
        return user


def change_own_password(
    request: HttpRequest, extra_context: dict[str, Any] | None = None
) -> HttpResponseBase:
    """The admin's own view for it, with our form."""
    context = {**admin.site.each_context(request), **(extra_context or {})}
    done = reverse("admin:password_change_done")
    view = PasswordChangeView.as_view(
        form_class=OwnPasswordForm, success_url=done, extra_context=context
    )
    return view(request)


admin.site.password_change = change_own_password  # type: ignore[method-assign,assignment]


class AboutUser(ReadOnly):
    """Rows that hold the id of an account, which outlives it."""

    @admin.display(description="user")
    def user_link(self, row: Session | UserChange | Deletion) -> str:
        address = reverse("admin:users_user_change", args=[row.user_id])
        return format_html('<a href="{}">{}</a>', address, row.user_id)


@admin.register(User)
class UserAdmin(Searched, DjangoUserAdmin):
    change_password_form = PasswordForm
    ordering = ["-id"]
    list_display = ["username", "email", "is_active", "is_staff", "closed_at", "created_at"]
    list_filter = [
        "is_active",
        "is_staff",
        "is_superuser",
        ("closed_at", admin.EmptyFieldListFilter),
        "created_at",
    ]
    search_fields = ["username", "email", "=id"]
    show_full_result_count = False
    readonly_fields = ["id", "rows", "closed_at", "last_login", "created_at", "updated_at"]
    fieldsets = [
        (None, {"fields": ["username", "email", "password", "id", "rows"]}),
        (
            "Permissions",
            {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]},
        ),
        ("Times", {"fields": ["last_login", "created_at", "updated_at", "closed_at"]}),
    ]
    add_fieldsets = [
        (
            None,
            {
                "classes": ["wide"],
                "fields": ["username", "email", "usable_password", "password1", "password2"],
            },
        ),
    ]
    actions = ["delete_selected"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Not of staff, whose password or address of mail would be a way to what they may."""
        may = super().has_change_permission(request, obj)
        return may and (obj is None or not obj.has_powers or is_superuser(request))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """What lets an account do more is given by superusers only."""
        fields = list(super().get_readonly_fields(request, obj))
        return fields if is_superuser(request) else [*fields, *POWERS]

    @admin.display(description="What they have")
    def rows(self, user: User) -> str:
        """Links to the account's rows here, and in every app that keeps any for it."""
        links = [rows_link(model, user_id=user.id) for model in (Session, Deletion, UserChange)]
        links.append(rows_link(Token, user__id__exact=user.id))
        for held in registered():
            owned = [model for model, path in held.rows if path == "owner"]
            links += [rows_link(model, owner__id__exact=user.id) for model in owned]
        return format_html_join(" · ", "{}", [[link] for link in links])

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change:
            columns = {field.name for field in User._meta.concrete_fields}
            save_only(obj, columns.intersection(form.changed_data))
        else:
            super().save_model(request, obj, form, change)
        after_commit("default", lambda: user_changed.send(User))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """From the list only: Django's page for one row deletes in a transaction of its own."""
        return obj is None and super().has_delete_permission(request)

    @admin.action(permissions=["delete"], description="Delete selected users and all they keep")
    def delete_selected(
        self, request: HttpRequest, queryset: QuerySet[User]
    ) -> HttpResponse | None:
        if not request.POST.get("post"):
            return django_actions.delete_selected(self, request, queryset)  # asks whether to
        if not is_superuser(request) and any(user.has_powers for user in queryset):
            self.message_user(request, StaffAccount().message, messages.ERROR)
            return None
        self.log_deletions(request, queryset)
        deletions = [request_deletion(user_id=user.id) for user in queryset]
        told = "Closed at once: {}. What they keep is being deleted: see {}."
        told = format_html(told, len(deletions), rows_link(Deletion))
        self.message_user(request, told, messages.SUCCESS)
        return None

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """What the page that asks shows: the accounts, without each of their rows."""
        return [str(user) for user in objs], {"users": len(objs)}, set(), []


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(Searched, DjangoGroupAdmin):
    """For superusers only: whoever changes a group that is theirs may do anything."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return is_superuser(request)

    has_change_permission = has_delete_permission = has_view_permission


@admin.register(Token)
class TokenAdmin(ReadOnly):
    """Never shows a secret: only its hash is kept."""

    fields = ["id", "name", "user", "created_at", "last_used_at", "expires_at"]
    list_display = ["id", "name", "user", "created_at", "last_used_at", "expires_at"]
    list_filter = ["created_at", "last_used_at", "expires_at"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username", "=id", "=user__id"]
    ordering = ["-id"]
    actions = ["revoke"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("users.delete_token")

    @admin.action(permissions=["revoke"], description="Revoke selected tokens")
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        for token in queryset:
            revoke_token(token_id=token.id, user_id=token.user_id)
        self.message_user(request, f"Revoked: {len(queryset)}.", messages.SUCCESS)


@admin.register(Session)
class SessionAdmin(AboutUser):
    """For superusers only: who is signed in is for nobody else to know."""

    list_display = ["user_link", "expire_date"]
    list_display_links = None
    list_filter = ["expire_date"]
    search_fields = ["=user_id"]
    ordering = ["-expire_date"]
    actions = ["end"]

    def has_view_permission(self, request: HttpRequest, obj: Session | None = None) -> bool:
        return is_superuser(request)

    @admin.action(permissions=["view"], description="End selected sessions, but not this one")
    def end(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        others = queryset.exclude(session_key=digest_of(request.session.session_key or ""))
        for session in others:
            end_session(kept_under=session.session_key)
        self.message_user(request, f"Ended: {len(others)}.", messages.SUCCESS)


@admin.register(UserChange)
class UserChangeAdmin(AboutUser):
    list_display = ["position", "user_link"]
    search_fields = ["=user_id"]
    ordering = ["-position"]


class DeletionSteps(admin.TabularInline):
    model = DeletionStep
    fields = (
        *("app", "state", "deleted", "total", "started_at", "finished_at"),
        *("failures", "retry_at", "last_error"),
    )
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Deletion)
class DeletionAdmin(AboutUser):
    """Jobs to be watched and steered, and certificates."""

    fields = [
        "id",
        "user_link",
        "state",
        "bar",
        "outlook",
        "requested_at",
        "starts_at",
        "finished_at",
        "verified_at",
    ]
    list_display = [
        "id",
        "user_link",
        "state",
        "bar",
        "outlook",
        "requested_at",
        "starts_at",
        "finished_at",
    ]
    list_filter = ["state", "requested_at", "finished_at"]
    search_fields = ["=id", "=user_id"]
    ordering = ["-requested_at"]
    inlines = [DeletionSteps]
    actions = ["pause", "resume", "cancel", "verify"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Deletion]:
        return super().get_queryset(request).prefetch_related("steps")

    @admin.display(description="progress")
    def bar(self, deletion: Deletion) -> str:
        progress = deletion.progress
        bar = '<progress max="1" value="{}">{}</progress> {}'
        return format_html(bar, f"{progress:.3f}", f"{progress:.0%}", f"{progress:.0%}")

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("users.change_deletion")

    @admin.action(permissions=["steer"], description="Pause selected deletions")
    def pause(self, request: HttpRequest, queryset: QuerySet[Deletion]) -> None:
        self._steer(request, queryset, pause_deletion)

    @admin.action(permissions=["steer"], description="Resume selected deletions")
    def resume(self, request: HttpRequest, queryset: QuerySet[Deletion]) -> None:
        self._steer(request, queryset, resume_deletion)

    @admin.action(permissions=["steer"], description="Cancel selected deletions, if not begun")
    def cancel(self, request: HttpRequest, queryset: QuerySet[Deletion]) -> None:
        self._steer(request, queryset, cancel_deletion)

    @admin.action(permissions=["steer"], description="Verify certificates of selected deletions")
    def verify(self, request: HttpRequest, queryset: QuerySet[Deletion]) -> None:
        """Against every database, as they are now."""
        ids, verified = [deletion.id for deletion in queryset], dict[UUID, list[str]]()
        try:
            for start in range(0, len(ids), PAGE_ROWS):
                verified |= verify_deletions(deletion_ids=ids[start : start + PAGE_ROWS])
        except DatabaseError:
            logger.exception("certificates could not be verified")
            told = f"A database does not answer. Verified before that: {len(verified)}."
            self.message_user(request, told, messages.ERROR)
            return
        for deletion_id, faults in verified.items():
            for fault in faults:
                self.message_user(request, f"Deletion {deletion_id}: {fault}.", messages.ERROR)
        hold = sum(not faults for faults in verified.values())
        told = f"Certificates that hold: {hold}. Not done yet: {len(ids) - len(verified)}."
        level = messages.SUCCESS if hold == len(verified) else messages.WARNING
        self.message_user(request, told, level)

    def _steer(
        self,
        request: HttpRequest,
        queryset: QuerySet[Deletion],
        move: Callable[..., Deletion],
    ) -> None:
        for deletion in queryset:
            try:
                moved = move(deletion_id=deletion.id)
            except Refusal as refusal:
                self.message_user(request, f"{deletion}: {refusal.message}", messages.ERROR)
            else:
                self.message_user(request, f"{moved} is {moved.state}.", messages.SUCCESS)
