"""The browsable API: a person reads, creates, changes and deletes todos in a browser."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from apps.users.models import User
from tests.factories import UserFactory
from tests.todos.conftest import TODOS, Client, address_of, signed_in
from tests.todos.forms import Page

pytestmark = pytest.mark.django_db(databases=["default", "todos"])

FILLED = {
    "title": "Buy <b>milk</b>",
    "content": "  two litres\n  and oats ",
    "category": "errands",
    "tags": ["shop", "a,b", "<i>"],
    "due_at": "2031-05-01T08:30:00.250000Z",
    "completed": True,
    "visibility": "public",
}


@pytest.fixture
def user() -> User:
    return UserFactory.create(username="ada")


@pytest.fixture
def ada(user: User) -> Client:
    return signed_in(user)


@pytest.fixture
def browser(user: User) -> Client:
    client = Client(headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    client.force_login(user)
    return client


def page(response: Any, status: int = 200) -> Page:
    assert response.status_code == status, response.text
    assert response["Content-Type"].startswith("text/html")
    return Page(response.text)


class TestNewTodoForm:
    def test_creates(self, browser: Client, ada: Client) -> None:
        form = page(browser.get(TODOS)).form_with("title", method="POST")

        sent = form | FILLED | {"tags": " shop \r\n\r\na,b\n<i>\n", "completed": "true"}
        response = browser.post(TODOS, sent, format="multipart")

        page(response, status=201)
        todo = ada.get(response["Location"]).json()
        assert {name: todo[name] for name in FILLED} == FILLED

    def test_works_with_a_title_only(self, browser: Client, ada: Client) -> None:
        form = page(browser.get(TODOS)).form_with("title", method="POST")

        response = browser.post(TODOS, form | {"title": "Rest"}, format="multipart")

        todo = ada.get(response["Location"]).json()
        assert (todo["tags"], todo["due_at"], todo["completed"]) == ([], None, False)
        assert todo["visibility"] == "private"

    def test_comes_back_with_what_was_wrong_and_what_was_typed(self, browser: Client) -> None:
        form = page(browser.get(TODOS)).form_with("title", method="POST")
        typed = {"title": "", "due_at": "soon", "tags": "twice\ntwice\n"}

        response = browser.post(TODOS, form | typed, format="multipart")

        again = page(response, status=400).form_with("title", method="POST")
        assert {name: again[name] for name in typed} == typed
        assert "This field may not be blank." in response.text
        assert "A tag was given more than once." in response.text

    def test_refuses_a_file_where_tags_belong(self, ada: Client) -> None:
        sent = {"title": "x", "tags": SimpleUploadedFile("tags", b"shop")}

        response = ada.post(TODOS, sent, format="multipart")

        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "tags[0]"

    def test_is_also_at_the_other_address(self, browser: Client) -> None:
        response = browser.post("/api/todo/create", {"title": "Rest"}, format="multipart")

        page(response, status=201)


class TestTodoForm:
    def test_changes_only_what_is_touched(self, browser: Client, ada: Client) -> None:
        todo = ada.add(**FILLED)
        form = page(browser.get(address_of(todo))).form_with("title", data_method="PUT")

        response = browser.put(address_of(todo), form | {"title": "Rest"}, format="multipart")

        page(response)
        changed = ada.get(address_of(todo)).json()
        assert {name: changed[name] for name in FILLED} == FILLED | {"title": "Rest"}
        assert changed["completed_at"] == todo["completed_at"]
        assert changed["version"] == 2

    def test_can_be_sent_again(self, browser: Client, ada: Client) -> None:
        todo = ada.add(**FILLED)
        form = page(browser.get(address_of(todo))).form_with("title", data_method="PUT")
        del form["completed"]

        for version in (2, 3):
            response = browser.put(address_of(todo), form, format="multipart")
            form = page(response).form_with("title", data_method="PUT")
            assert form["version"] == str(version)

        assert not ada.get(address_of(todo)).json()["completed"]

    def test_does_not_write_over_a_change_in_between(self, browser: Client, ada: Client) -> None:
        todo = ada.add()
        form = page(browser.get(address_of(todo))).form_with("title", data_method="PUT")
        current = ada.patch(address_of(todo), {"title": "Meanwhile"}).json()

        response = browser.put(address_of(todo), form | {"title": "Rest"}, format="multipart")

        page(response, status=412)
        assert "Meanwhile" in response.text
        assert ada.get(address_of(todo)).json() == current

    def test_is_not_offered_for_what_is_someone_elses(self, browser: Client, bob: Client) -> None:
        todo = bob.add(visibility="public")

        assert page(browser.get(address_of(todo))).methods.isdisjoint({"PUT", "DELETE"})


class TestDeleteButton:
    def test_deletes(self, browser: Client, ada: Client) -> None:
        todo = ada.add()
        assert "DELETE" in page(browser.get(address_of(todo))).methods

        response = browser.delete(address_of(todo))

        page(response)  # a browser would show nothing for a 204
        assert ada.list() == []


class TestFilterForm:
    def test_narrows_the_list(self, browser: Client, ada: Client) -> None:
        ada.add("Milk", tags=["shop"])
        ada.add("Nap", tags=["rest"], completed=True)
        form = page(browser.get(TODOS)).form_with("overdue", method="get")

        response = browser.get(TODOS, form | {"tag": "rest", "completed": "true"})

        again = page(response).form_with("overdue", method="get")
        assert (again["tag"], again["completed"]) == ("rest", "true")
        assert "Nap" in response.text
        assert "Milk" not in response.text

    def test_says_what_was_wrong(self, browser: Client) -> None:
        response = browser.get(TODOS, {"overdue": "soon"})

        page(response, status=400)
        assert "This must be true or false." in response.text


class TestOtherPages:
    def test_lead_from_the_list_to_all_that_there_is(self, browser: Client, ada: Client) -> None:
        ada.add(tags=["shop"], category="errands")
        text = browser.get(TODOS).text

        for path in ("tags/", "categories/", "changes/", "?deleted=true"):
            assert f'href="{TODOS}{path}"' in text
            assert browser.get(f"{TODOS}{path}").status_code == 200
        for path in ("bulk/", "import/"):  # nothing to be seen there, but a form
            assert f'href="{TODOS}{path}"' in text
            assert "POST" in page(browser.get(f"{TODOS}{path}"), status=405).methods
        for path in ("export/", "export/?format=csv"):
            assert f'href="{TODOS}{path}"' in text
            assert "attachment" in browser.get(f"{TODOS}{path}")["Content-Disposition"]

    def test_lead_from_a_todo_to_its_history_and_back_to_a_version(
        self, browser: Client, ada: Client
    ) -> None:
        todo = ada.add("first")
        ada.patch(address_of(todo), {"title": "second"})
        history = f"{address_of(todo)}history/"
        assert f'href="{history}"' in browser.get(address_of(todo)).text
        assert f'href="{history}1/restore/"' in browser.get(history).text
        assert "POST" in page(browser.get(f"{history}1/restore/"), status=405).methods

        page(browser.post(f"{history}1/restore/"))

        assert ada.get(address_of(todo)).json()["title"] == "first"

    def test_lead_from_the_trash_back(self, browser: Client, ada: Client) -> None:
        todo = ada.add("gone <b>")
        ada.delete(address_of(todo))
        restore = f"{address_of(todo)}restore/"
        text = browser.get(TODOS, {"deleted": "true"}).text
        assert f'href="{restore}"' in text
        assert "<b>”" not in text
        assert "POST" in page(browser.get(restore), status=405).methods

        page(browser.post(restore))

        assert ada.list() == ["gone <b>"]

    def test_take_a_file(self, browser: Client, ada: Client) -> None:
        form = page(browser.get(f"{TODOS}import/"), status=405).form_with("file")
        upload = SimpleUploadedFile("todos.csv", b"title\nRest\n")

        page(browser.post(f"{TODOS}import/", form | {"file": upload}, format="multipart"))

        assert ada.list() == ["Rest"]
