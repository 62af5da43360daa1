"""The admin's pages of the todos app, for the people who run the service."""

from typing import Any
from uuid import UUID

import pytest
from django.test import Client as Browser
from django.urls import reverse

from apps.todos.models import Change, Owner, Todo
from apps.todos.owners import TODOS as HOLDINGS
from tests.factories import UserFactory
from tests.todos.conftest import Client, address_of
from tests.todos.forms import Page

pytestmark = pytest.mark.django_db(databases=["default", "todos"])

LIST = "/admin/todos/todo/"


@pytest.fixture
def admin() -> Browser:
    browser = Browser()
    browser.force_login(UserFactory.create(username="root", is_staff=True, is_superuser=True))
    return browser


def page_of(todo: dict[str, Any]) -> str:
    return reverse("admin:todos_todo_change", args=[todo["id"]])


def form_of(browser: Browser, todo: dict[str, Any]) -> dict[str, Any]:
    return Page(browser.get(page_of(todo)).text).form_with("title")


class TestList:
    @pytest.mark.parametrize(
        ("parameters", "titles"),
        [
            ({}, {"Milk", "Nap"}),
            ({"q": "mil"}, {"Milk"}),
            ({"q": "ADA"}, {"Milk", "Nap"}),
            ({"q": "il"}, {"Milk"}),
            ({"q": "il ap"}, set()),
            ({"deleted_at__isempty": "1"}, {"Milk", "Nap"}),
            ({"deleted_at__isempty": "0"}, set()),
            ({"completed_at__isempty": "0"}, {"Nap"}),
            ({"visibility__exact": "public"}, {"Milk"}),
        ],
    )
    def test_finds(
        self, admin: Browser, ada: Client, parameters: dict[str, str], titles: set[str]
    ) -> None:
        ada.add("Milk", visibility="public")
        ada.add("Nap", completed=True)

        response = admin.get(LIST, parameters)

        assert {title for title in ("Milk", "Nap") if f">{title}</a>" in response.text} == titles

    def test_links_to_the_owner_and_from_there_to_the_user_and_back(
        self, admin: Browser, ada: Client
    ) -> None:
        todo = ada.add()
        owner_id = todo["owner"]["id"]
        owner_page = reverse("admin:todos_owner_change", args=[owner_id])

        assert f'href="{owner_page}"' in admin.get(LIST).text
        assert f'href="{owner_page}"' in admin.get(page_of(todo)).text
        owner = admin.get(owner_page).text
        assert f'href="{reverse("admin:users_user_change", args=[owner_id])}"' in owner
        assert f'href="{LIST}?owner__id__exact={owner_id}"' in owner
        assert ">Buy milk</a>" in admin.get(LIST, {"owner__id__exact": owner_id}).text

    def test_costs_as_many_queries_for_one_as_for_many(
        self, admin: Browser, ada: Client, bob: Client, django_assert_num_queries: Any
    ) -> None:
        ada.add()
        with django_assert_num_queries(2, using="todos"):
            admin.get(LIST)

        for _ in range(5):
            bob.add()
        with django_assert_num_queries(2, using="todos"):
            admin.get(LIST)


class TestChange:
    def test_is_a_change_like_any_other(self, admin: Browser, ada: Client) -> None:
        todo = ada.add(tags=["a,b", "c"], due_at="2031-05-01T08:30:00Z", content="oats")
        form = form_of(admin, todo)

        response = admin.post(page_of(todo), form | {"title": "Rest", "completed": "on"})

        assert response.status_code == 302
        changed = ada.get(address_of(todo)).json()
        assert (changed["title"], changed["completed"]) == ("Rest", True)
        assert changed["completed_at"]
        assert changed["version"] == 2
        kept = ["tags", "due_at", "content", "owner", "visibility", "created_at"]
        assert {name: changed[name] for name in kept} == {name: todo[name] for name in kept}

    def test_does_not_write_over_a_change_in_between(self, admin: Browser, ada: Client) -> None:
        todo = ada.add()
        form = form_of(admin, todo)
        current = ada.patch(address_of(todo), {"title": "Meanwhile"}).json()

        response = admin.post(page_of(todo), form | {"category": "mine"}, follow=True)

        assert "The todo was changed since you read it." in response.text
        assert ada.get(address_of(todo)).json() == current

    @pytest.mark.parametrize(
        ("field", "value"),
        [("title", ""), ("tags", "a\na"), ("tags", "x" * 51), ("due_at_0", "soon")],
    )
    def test_refuses_what_the_api_refuses(
        self, admin: Browser, ada: Client, field: str, value: str
    ) -> None:
        todo = ada.add()
        form = form_of(admin, todo)

        response = admin.post(page_of(todo), form | {field: value})

        assert "Please correct the error" in response.text
        assert ada.get(address_of(todo)).json() == todo


class TestDelete:
    def test_deletes(self, admin: Browser, ada: Client) -> None:
        todo = ada.add()

        admin.post(reverse("admin:todos_todo_delete", args=[todo["id"]]), {"post": "yes"})

        assert ada.get(address_of(todo)).status_code == 404

    def test_deletes_many(self, admin: Browser, ada: Client) -> None:
        todos = [ada.add() for _ in range(3)]
        chosen = [todo["id"] for todo in todos[:2]]

        admin.post(LIST, {"action": "delete_selected", "_selected_action": chosen, "post": "yes"})

        assert ada.list() == [todos[2]["title"]]
        deleted = Todo.objects.exclude(deleted_at=None).values_list("id", flat=True)
        assert set(deleted) == {UUID(todo_id) for todo_id in chosen}


CHANGES = "/admin/todos/change/"


class TestTrash:
    def test_can_be_looked_at_and_restored(self, admin: Browser, ada: Client) -> None:
        todo, other = ada.add("Milk"), ada.add("Nap")
        for each in (todo, other):
            ada.delete(address_of(each))
        page = admin.get(page_of(todo))
        assert page.status_code == 200
        assert 'name="_save"' not in page.text
        assert ">Milk</a>" in admin.get(LIST, {"deleted_at__isempty": "0"}).text

        response = admin.post(
            LIST, {"action": "restore", "_selected_action": [todo["id"]]}, follow=True
        )

        assert "Restored: 1." in response.text
        assert ada.list() == ["Milk"]

    def test_restores_nothing_that_is_not_in_it(self, admin: Browser, ada: Client) -> None:
        todo = ada.add()

        response = admin.post(
            LIST, {"action": "restore", "_selected_action": [todo["id"]]}, follow=True
        )

        assert "Restored: 0." in response.text
        assert ada.get(address_of(todo)).json() == todo


class TestChanges:
    def test_are_found_from_the_todo(self, admin: Browser, ada: Client) -> None:
        todo = ada.add("Buy <b>milk</b>")
        ada.patch(address_of(todo), {"title": "Rest"})
        ada.add("Other")

        assert f'href="{CHANGES}?todo__id__exact={todo["id"]}"' in admin.get(page_of(todo)).text
        listed = admin.get(CHANGES, {"todo__id__exact": todo["id"]}).text
        assert f"version 2 of {todo['id']}" in listed
        change = Change.objects.get()
        shown = admin.get(reverse("admin:todos_change_change", args=[change.id])).text
        assert "Buy &lt;b&gt;milk&lt;/b&gt; → Rest" in shown

    def test_can_be_gone_back_to(self, admin: Browser, ada: Client) -> None:
        todo = ada.add("one")
        for title in ("two", "three"):
            ada.patch(address_of(todo), {"title": title})
        change = Change.objects.get(version=2)

        response = admin.post(
            CHANGES,
            {"action": "make_it_this_again", "_selected_action": [change.id]},
            follow=True,
        )

        assert "Done: two." in response.text
        assert ada.get(address_of(todo)).json()["title"] == "two"

    def test_are_gone_back_to_one_at_a_time(self, admin: Browser, ada: Client) -> None:
        todo = ada.add("one")
        for title in ("two", "three"):
            ada.patch(address_of(todo), {"title": title})
        chosen = list(Change.objects.values_list("id", flat=True))

        response = admin.post(
            CHANGES, {"action": "make_it_this_again", "_selected_action": chosen}, follow=True
        )

        assert "Choose one change." in response.text
        assert ada.get(address_of(todo)).json()["title"] == "three"

    def test_cost_as_many_queries_for_one_as_for_many(
        self, admin: Browser, ada: Client, django_assert_num_queries: Any
    ) -> None:
        todo = ada.add()
        for number in range(5):
            ada.patch(address_of(todo), {"title": f"{number}"})
            with django_assert_num_queries(2, using="todos"):
                admin.get(CHANGES)


class TestReadOnly:
    @pytest.mark.parametrize("model", ["todo", "change", "owner", "feedcursor"])
    def test_nothing_can_be_added(self, admin: Browser, model: str) -> None:
        assert admin.get(f"/admin/todos/{model}/add/").status_code == 403

    @pytest.mark.parametrize("model", ["owner", "change", "feedcursor"])
    def test_can_be_looked_at_only(self, admin: Browser, ada: Client, model: str) -> None:
        todo = ada.add()
        ada.patch(address_of(todo), {"title": "Rest"})
        while HOLDINGS.follow():
            pass
        change_id = Change.objects.get().id
        row = {"owner": todo["owner"]["id"], "change": change_id, "feedcursor": 1}[model]
        page = reverse(f"admin:todos_{model}_change", args=[row])

        assert admin.get(f"/admin/todos/{model}/").status_code == 200
        assert admin.get(page).status_code == 200
        assert admin.post(page, {"username": "x"}).status_code == 403
        delete = reverse(f"admin:todos_{model}_delete", args=[row])
        assert admin.post(delete, {"post": "yes"}).status_code == 403

    def test_a_tombstone_leads_to_no_user(self, admin: Browser, ada: Client) -> None:
        owner_id = ada.add()["owner"]["id"]
        HOLDINGS.entomb(owner_id)

        page = admin.get(reverse("admin:todos_owner_change", args=[owner_id])).text

        assert reverse("admin:users_user_change", args=[owner_id]) not in page
        assert Owner.objects.filter(id=owner_id).exists()
