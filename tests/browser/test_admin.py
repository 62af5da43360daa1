"""The admin, in a browser: every list is searched, filtered and opened, and every action run."""

from django.contrib import admin
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import Group
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from apps.counter import public as counter
from apps.counter.models import Pending
from apps.todos.models import Change, Todo
from apps.todos.operations.writing import change_todo
from apps.users.models import Deletion, Token, User
from apps.users.operations.deletions import request_deletion
from apps.users.sessions import SessionStore
from kit.directory import Viewer
from tests.browser.conftest import sign_in
from tests.people import Citizen, settle

LISTS = [f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry]


class TestLists:
    def test_open_are_searched_and_filtered_and_lead_to_their_rows(
        self, page: Page, ada: Citizen
    ) -> None:
        settle("bob", rows=2)
        request_deletion(user_id=settle("eve", rows=2).id)
        User.objects.get(username="bob").tokens.create(digest=b"1" * 32, name="laptop")
        sign_in(page, "/admin/")

        for name in LISTS:
            page.goto(reverse(f"admin:{name}_changelist"))
            expect(page.locator("#changelist")).to_be_visible()
            if page.locator("#searchbar").count():
                page.fill("#searchbar", "nothing like it")
                page.click('#changelist-search [type="submit"]')
                expect(page.locator("#changelist")).to_be_visible()
                page.goto(reverse(f"admin:{name}_changelist"))
            for href in filter_links(page):
                page.goto(f"{reverse(f'admin:{name}_changelist')}{href}")
                expect(page.locator("#changelist")).to_be_visible()
            page.goto(reverse(f"admin:{name}_changelist"))
            row = page.locator("#result_list tbody th a").first
            if row.count():
                row.click()
                expect(page.locator("#content h1, #content h2").first).to_be_visible()


def filter_links(page: Page) -> list[str]:
    """One link of each filter: the last, which narrows."""
    filters = page.locator("#changelist-filter details")
    links = [filters.nth(at).locator("li a").last for at in range(filters.count())]
    return [href for link in links if (href := link.get_attribute("href"))]


def every_action(user: User) -> set[tuple[str, str]]:
    """By the list on which this user has it."""
    request = RequestFactory().get("/")
    request.user = user
    pages = dict(zip(LISTS, admin.site._registry.values(), strict=True))
    return {(name, action) for name in pages for action in pages[name].get_actions(request)}


class TestActions:
    def test_all_do_what_they_say(self, page: Page, ada: Citizen) -> None:
        self.ran: set[tuple[str, str]] = set()
        sign_in(page, "/admin/")
        self.revoke_tokens(page)
        self.end_sessions(page, ada)
        self.undo_and_delete_and_restore_todos(page, ada)
        self.retry_increments(page, ada)
        self.delete_counters(page)
        self.delete_users(page)
        self.steer_deletions(page)
        self.delete_groups(page)
        assert self.ran == every_action(User.objects.get(id=ada.id))

    def run_action(
        self, page: Page, model: str, action: str, query: str = "", row: str = ""
    ) -> None:
        """On all rows of the list, or on this one."""
        page.goto(reverse(f"admin:{model}_changelist") + query)
        page.check(f'[name="_selected_action"][value="{row}"]' if row else "#action-toggle")
        page.select_option("[name=action]", action)
        page.click('[name="index"]')
        page.wait_for_load_state()
        if action == "delete_selected":
            page.click('#content [type="submit"]')
        self.ran.add((model, action))

    def revoke_tokens(self, page: Page) -> None:
        User.objects.get().tokens.create(digest=b"1" * 32)

        self.run_action(page, "users_token", "revoke")

        expect(page.locator(".messagelist")).to_contain_text("Revoked: 1.")
        assert not Token.objects.exists()

    def end_sessions(self, page: Page, ada: Citizen) -> None:
        elsewhere = SessionStore()
        elsewhere[SESSION_KEY] = str(ada.id)
        elsewhere.create()

        self.run_action(page, "users_session", "end")

        expect(page.locator(".messagelist .success")).to_contain_text("Ended: 1.")
        assert not elsewhere.exists(elsewhere.session_key)

    def retry_increments(self, page: Page, ada: Citizen) -> None:
        counter.increment(counter_id=ada.counter_id, owner_id=ada.id)
        Pending.objects.update(set_aside_at=timezone.now(), reason="planted")

        self.run_action(page, "counter_pending", "try_again")

        expect(page.locator(".messagelist .success")).to_be_visible()
        assert Pending.objects.get().set_aside_at is None

    def undo_and_delete_and_restore_todos(self, page: Page, ada: Citizen) -> None:
        todo = Todo.objects.filter(owner=ada.id).latest("id")
        for title in ("as it was", "by mistake"):
            change_todo(todo_id=todo.id, viewer=Viewer(ada.id), title=title)
        first = Change.objects.filter(todo=todo).earliest("id")

        self.run_action(page, "todos_change", "make_it_this_again", row=str(first.id))
        expect(page.locator(".messagelist .success")).to_contain_text("Done: as it was.")
        self.run_action(page, "todos_todo", "delete_selected")
        expect(page.locator(".messagelist .success")).to_contain_text("deleted 3 todos")
        self.run_action(page, "todos_todo", "restore")
        expect(page.locator(".messagelist .success")).to_contain_text("Restored: 3.")

    def delete_counters(self, page: Page) -> None:
        self.run_action(page, "counter_counter", "delete_selected")

        expect(page.locator(".messagelist .success")).to_contain_text("deleted 1 counter")

    def delete_groups(self, page: Page) -> None:
        Group.objects.create(name="clerks")

        self.run_action(page, "auth_group", "delete_selected")

        expect(page.locator(".messagelist .success")).to_contain_text("deleted 1 group")
        assert not Group.objects.exists()

    def delete_users(self, page: Page) -> None:
        settle("bob", rows=2)

        self.run_action(page, "users_user", "delete_selected", "?q=bob")

        expect(page.locator(".messagelist")).to_contain_text("Closed at once: 1.")

    def steer_deletions(self, page: Page) -> None:
        Deletion.objects.update(state=Deletion.State.RUNNING)

        for action, state in {"pause": "paused", "resume": "running"}.items():
            self.run_action(page, "users_deletion", action)
            expect(page.locator(".messagelist")).to_contain_text(f"is {state}")
        self.run_action(page, "users_deletion", "cancel")
        expect(page.locator(".messagelist .error")).to_contain_text("does not allow this")
        self.run_action(page, "users_deletion", "verify")
        expect(page.locator(".messagelist")).to_contain_text("Not done yet: 1.")


class TestEditing:
    def test_changes_a_todo_and_adds_a_user_and_sets_a_password(
        self, page: Page, ada: Citizen
    ) -> None:
        sign_in(page, "/admin/")
        todo = Todo.objects.filter(owner=ada.id).first()
        assert todo is not None
        page.goto(reverse("admin:todos_todo_change", args=[todo.id]))
        page.fill("[name=title]", "by an operator")
        page.click("[name=_save]")

        expect(page.locator(".messagelist .success")).to_be_visible()
        todo.refresh_from_db()
        assert todo.title == "by an operator"

        page.goto(reverse("admin:users_user_add"))
        page.fill("[name=username]", "grace")
        page.fill("[name=password1]", "a long pass phrase")
        page.fill("[name=password2]", "a long pass phrase")
        page.click("[name=_save]")
        expect(page.locator(".messagelist .success")).to_be_visible()
        grace = User.objects.get(username="grace")

        page.goto(reverse("admin:auth_user_password_change", args=[grace.id]))
        page.fill("[name=password1]", "another long pass phrase")
        page.fill("[name=password2]", "another long pass phrase")
        page.click("[name=set-password]")

        expect(page.locator(".messagelist .success")).to_be_visible()
        grace.refresh_from_db()
        assert grace.check_password("another long pass phrase")
