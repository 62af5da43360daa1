"""What a person sees of the API, in a browser."""

from playwright.sync_api import Page, expect

from apps.counter.models import Counter
from apps.todos.models import Todo
from apps.todos.operations.writing import change_todo
from apps.users.models import User
from kit.directory import Viewer
from tests.browser.conftest import sign_in
from tests.factories import PASSWORD
from tests.people import Citizen

EVIL = '<img src=x onerror=alert(1)><script>alert(2)</script>" style="color:red'


def send_form(page: Page, method: str = "POST") -> None:
    """The first form with this button: that in HTML, before the one for raw data."""
    page.click(f'form button:has-text("{method}") >> nth=0')


def shows(page: Page, text: str) -> None:
    expect(page.locator(".response-info")).to_contain_text(text)


class TestBrowsableApi:
    def test_every_page_opens(self, page: Page, ada: Citizen) -> None:
        sign_in(page, "/api/auth/login/")
        todo = Todo.objects.filter(owner=ada.id).first()
        assert todo is not None
        token = User.objects.get().tokens.create(digest=b"1" * 32)
        increment = f"/api/counters/{ada.counter_id}/increments/"
        paths = [
            *("/", "/api/", "/api/users/", "/api/users/me/", f"/api/users/{ada.id}/"),
            *("/api/auth/tokens/", f"/api/auth/tokens/{token.id}/", "/api/auth/password-reset/"),
            *("/api/todos/", f"/api/todos/{todo.id}/", "/api/counters/"),
            *(f"/api/counters/{ada.counter_id}/", increment, "/api/auth/logout/"),
        ]

        for path in paths:
            answer = page.goto(path)
            assert answer is not None
            assert (path, answer.status) == (path, 200)
            expect(page.locator("h1").first).to_be_visible()
        page.context.clear_cookies()
        for path, status in {"/api/users/me/": 401, "/api/nothing/": 404}.items():
            answer = page.goto(path)

            assert answer is not None
            assert answer.status == status
            expect(page.locator("h1").first).to_be_visible()

    def test_forms_create_and_change_and_delete_and_count_and_filter(
        self, page: Page, ada: Citizen
    ) -> None:
        sign_in(page, "/api/auth/login/?next=/api/todos/")
        page.fill("#post-object-form [name=title], [name=title]", "by hand")
        send_form(page)
        shows(page, "201 Created")
        todo = Todo.objects.get(title="by hand")

        page.goto(f"/api/todos/{todo.id}/")
        page.fill("[name=title]", "changed")
        send_form(page, "PUT")
        shows(page, "200 OK")
        page.goto(f"/api/todos/{todo.id}/")
        page.click('button:has-text("DELETE")')
        page.click('.modal-footer form button:has-text("Delete")')
        shows(page, "204 No Content")

        assert Todo.objects.get(id=todo.id).deleted_at is not None

        page.goto(f"/api/counters/{ada.counter_id}/increments/")
        page.fill("[name=amount]", "40")
        send_form(page)

        shows(page, "202 Accepted")

        page.goto("/api/todos/")
        page.click('button:has-text("Filters")')
        page.fill(".modal-body [name=search]", "todo 1")
        page.click('.modal-body button:has-text("Submit")')

        shows(page, "todo 1")
        expect(page.locator(".response-info")).not_to_contain_text("todo 2")

    def test_shows_what_people_wrote_and_does_not_do_it(self, page: Page, ada: Citizen) -> None:
        Todo.objects.filter(owner=ada.id).update(
            title=EVIL, content=EVIL, category=EVIL[:64], tags=[EVIL[:50]]
        )
        todo = Todo.objects.filter(owner=ada.id).latest("id")
        change_todo(todo_id=todo.id, viewer=Viewer(ada.id), title="changed")
        User.objects.get().tokens.create(digest=b"1" * 32, name=EVIL)
        Counter.objects.filter(owner=ada.id).update(name=EVIL, description=EVIL)
        page.on("dialog", lambda dialog: page.evaluate("() => { throw 'it was done' }"))
        sign_in(page, "/api/auth/login/")

        for path in (
            *("/api/todos/", f"/api/todos/{todo.id}/history/", "/api/todos/tags/"),
            *("/api/todos/categories/", "/api/auth/tokens/"),
            *("/api/counters/", f"/api/counters/{ada.counter_id}/"),
        ):
            page.goto(path)
            shows(page, "<img src=x onerror")
            assert page.locator("img[src=x]").count() == 0

    def test_password_is_changed_and_one_signs_out(self, page: Page, ada: Citizen) -> None:
        sign_in(page, "/api/auth/login/")
        page.goto("/api/users/me/password/")
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=new_password]", "another long pass phrase")
        send_form(page)
        shows(page, "204 No Content")

        page.goto("/api/users/me/")
        shows(page, "200 OK")

        page.click("#logoutForm button")

        answer = page.goto("/api/users/me/")
        assert answer is not None
        assert answer.status == 401


class TestDocumentation:
    def test_shows_every_call_and_tries_one_with_nothing_from_elsewhere(self, page: Page) -> None:
        page.goto("/api/docs/")
        expect(page.locator(".opblock").first).to_be_visible()
        assert page.locator(".opblock").count() > 30

        page.click("#operations-Todos-todos_create .opblock-summary")
        expect(page.locator("#operations-Todos-todos_create .opblock-body")).to_be_visible()

        call = page.locator('.opblock:has-text("/api/auth/password-reset/")').first
        call.locator(".opblock-summary").first.click()
        call.locator('button:has-text("Try it out")').click()
        call.locator('button:has-text("Execute")').click()

        expect(call.locator(".live-responses-table tbody .response-col_status").first).to_have_text(
            "200"
        )
