"""Export and import: all of one's own todos, each taken in once, with flat memory."""

import csv
import io
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.http import StreamingHttpResponse

from apps.todos.models import Todo
from apps.todos.owners import TODOS as HOLDINGS
from tests.factories import UserFactory
from tests.growth import grown
from tests.racing import race
from tests.todos.conftest import TODOS, Client, address_of, refused_fields, signed_in

pytestmark = pytest.mark.django_db(databases=["default", "todos"])

EXPORT, IMPORT = f"{TODOS}export/", f"{TODOS}import/"
JSON, CSV = "application/json", "text/csv"

SERVERS_OWN = {"id", "owner", "version"}


def exported(client: Client, **parameters: str) -> bytes:
    response = client.get(EXPORT, parameters)
    assert response.status_code == 200
    assert isinstance(response, StreamingHttpResponse)
    return b"".join(response)


def send(client: Client, body: bytes | str, kind: str = JSON, broken: str = "refuse") -> Any:
    raw = body if isinstance(body, bytes) else body.encode()
    return client.generic("POST", f"{IMPORT}?broken={broken}", raw, content_type=kind)


def outcome(response: Any) -> tuple[int, int, int]:
    assert response.status_code == 200, response.text
    told = response.json()
    return told["added"], told["known"], told["broken"]


def table(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def chores(ada: Client) -> Client:
    """Ada, with todos of every kind, one of them in the trash."""
    ada.add('Milk, "fresh"\nand cold', content="a\tb\r\n  'c' ", tags=["a,b", "[", "집"])
    ada.add("우유", category="집", due_at="2031-05-01T08:30:00.25Z", completed=True)
    ada.add("=1+1", visibility="public")
    ada.delete(address_of(ada.add("gone", content="x" * 1000)))
    return ada


class TestExport:
    def test_is_all_of_ones_own_the_oldest_first(self, chores: Client, bob: Client) -> None:
        bob.add(visibility="public")

        todos = json.loads(exported(chores))

        assert [todo["title"] for todo in todos[1:]] == ["우유", "=1+1", "gone"]
        for todo in todos[:3]:
            assert chores.get(address_of(todo)).json() == todo
        assert todos[3]["deleted_at"]

    @pytest.mark.parametrize("accepted", [None, "text/csv", "text/csv, application/json"])
    @pytest.mark.parametrize("query", ["", "?format=csv", "?format=json"])
    def test_tells_what_it_is_only_as_json(
        self, ada: Client, accepted: str | None, query: str
    ) -> None:
        headers = {"Accept": accepted} if accepted else {}

        response = ada.options(EXPORT + query, headers=headers)

        assert response.status_code in (200, 404, 406)
        assert "json" in response["Content-Type"]

    def test_has_a_todo_to_a_line(self, chores: Client) -> None:
        first, *lines, last = exported(chores).decode().splitlines()

        assert (first, last) == ("[", "]")
        assert [json.loads(line.rstrip(",")) for line in lines] == json.loads(exported(chores))

    def test_is_csv_where_that_is_asked_for(self, chores: Client) -> None:
        text = exported(chores, format="csv").decode()

        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert [row["title"] for row in rows][1:] == ["우유", "=1+1", "gone"]
        assert json.loads(rows[0]["tags"]) == ["a,b", "[", "집"]
        assert chores.get(EXPORT, headers={"Accept": CSV})["Content-Type"].startswith(CSV)

    def test_of_nothing_is_empty(self, ada: Client) -> None:
        assert json.loads(exported(ada)) == []
        assert exported(ada, format="csv").decode().count("\n") == 1

    def test_is_to_be_saved_as_a_file(self, ada: Client) -> None:
        response = ada.get(EXPORT, headers={"Accept": "text/html,*/*;q=0.8"})

        assert response["Content-Disposition"] == 'attachment; filename="todos.json"'


@pytest.mark.parametrize(("kind", "suffix"), [(JSON, "json"), (CSV, "csv")])
class TestThereAndBack:
    def test_adds_nothing_where_it_was_exported(
        self, chores: Client, kind: str, suffix: str
    ) -> None:
        file = exported(chores, format=suffix)

        assert outcome(send(chores, file, kind)) == (0, 4, 0)

    def test_brings_all_of_it_to_somebody_else_once(
        self, chores: Client, bob: Client, kind: str, suffix: str
    ) -> None:
        file = exported(chores, format=suffix)

        first, second = send(bob, file, kind), send(bob, file, kind)

        assert outcome(first) == (4, 0, 0)
        assert outcome(second) == (0, 4, 0)
        theirs, ours = json.loads(exported(bob)), json.loads(exported(chores))
        for todo, original in zip(theirs, ours, strict=True):
            assert todo["id"] != original["id"]
            assert todo["owner"]["username"] == "bob"
            told = todo.keys() - SERVERS_OWN
            assert {name: todo[name] for name in told} == {name: original[name] for name in told}

    def test_comes_back_after_a_change_without_touching_it(
        self, chores: Client, kind: str, suffix: str
    ) -> None:
        file = exported(chores, format=suffix)
        todo = json.loads(exported(chores))[1]
        current = chores.patch(address_of(todo), {"title": "changed"}).json()

        assert outcome(send(chores, file, kind)) == (0, 4, 0)
        assert chores.get(address_of(todo)).json() == current


class TestImport:
    @pytest.mark.parametrize(
        "body",
        [
            '[{"title": "a"}, {"title": "b", "tags": ["x"]}]',
            '{"title": "a"}\n{"title": "b", "tags": ["x"]}\n',
            '[\n  {\n    "title": "a"\n  },\n  {"title": "b",\n "tags": ["x"]}\n]\n',
            '\ufeff[{"title":"a"},{"title":"b","tags":["x"]}]',
            '[{"title": "a"}]\n[{"title": "b", "tags": ["x"]}]',
        ],
    )
    def test_takes_any_layout_of_json(self, ada: Client, body: str) -> None:
        assert outcome(send(ada, body)) == (2, 0, 0)
        assert ada.list(tag="x") == ["b"]
        assert ada.list(ordering="title") == ["a", "b"]

    def test_takes_csv_as_people_write_it(self, ada: Client) -> None:
        body = 'title,tags,completed,colour\r\nMilk,"shop, food",true,red\r\nRest,,,\r\n'

        assert outcome(send(ada, body, CSV)) == (2, 0, 0)
        rest, milk = ada.get(TODOS).json()["results"]
        assert (milk["tags"], milk["completed"]) == (["shop", "food"], True)
        assert milk["completed_at"]
        assert (rest["tags"], rest["completed"], rest["due_at"]) == ([], False, None)

    def test_takes_csv_as_spreadsheets_write_it_where_a_comma_is_a_decimal_point(
        self, ada: Client
    ) -> None:
        body = '\ufefftitle;content;tags\r\nMilk;"1,5 l; fresh";shop,food\r\nRest, at last;;\r\n'

        assert outcome(send(ada, body.encode(), CSV)) == (2, 0, 0)
        rest, milk = ada.get(TODOS).json()["results"]
        assert (milk["content"], milk["tags"]) == ("1,5 l; fresh", ["shop", "food"])
        assert (rest["title"], rest["tags"]) == ("Rest, at last", [])

    def test_goes_by_the_names_of_the_columns_for_what_is_between_cells(self, ada: Client) -> None:
        assert outcome(send(ada, "title\na; b\n", CSV)) == (1, 0, 0)
        assert outcome(send(ada, "title,content\nc; d,e; f; g\n", CSV)) == (1, 0, 0)
        assert ada.list(ordering="title") == ["a; b", "c; d"]

    def test_knows_lines_without_an_id_by_what_they_say(self, ada: Client) -> None:
        lines = [{"title": "a"}, {"title": "b"}]

        assert outcome(send(ada, table(lines))) == (2, 0, 0)
        assert outcome(send(ada, table([*lines, {"title": "c"}]))) == (1, 2, 0)
        assert outcome(send(ada, "title\na\nb\n", CSV)) == (0, 2, 0)

    def test_knows_an_id_however_it_is_written(self, ada: Client, bob: Client) -> None:
        todo_id = ada.add("mine")["id"]
        lines = [{"id": todo_id, "title": "mine"}, {"id": todo_id.upper(), "title": "mine"}]

        assert outcome(send(ada, table(lines))) == (0, 2, 0)
        assert outcome(send(bob, table(lines))) == (1, 1, 0)
        assert outcome(send(bob, table(lines[1:]))) == (0, 1, 0)

    def test_does_not_touch_somebody_elses_todo(self, ada: Client, bob: Client) -> None:
        theirs = bob.add("theirs")

        assert outcome(send(ada, table([{"id": theirs["id"], "title": "mine"}]))) == (1, 0, 0)
        assert bob.get(address_of(theirs)).json() == theirs

    def test_does_not_bring_back_what_was_deleted(self, ada: Client) -> None:
        todo = ada.add()
        file = exported(ada)
        ada.delete(address_of(todo))

        assert outcome(send(ada, file)) == (0, 1, 0)
        assert ada.list() == []

    def test_leaves_nothing_in_the_trash_for_longer_than_what_is_deleted_now(
        self, ada: Client
    ) -> None:
        lines = [{"title": "gone", "deleted_at": "9999-01-01T00:00:00Z"}]

        assert outcome(send(ada, table(lines))) == (1, 0, 0)
        assert outcome(send(ada, table(lines))) == (0, 1, 0)
        (todo,) = ada.get(TODOS, {"deleted": True}).json()["results"]
        assert todo["deleted_at"] <= ada.add()["created_at"]

    def test_is_followed_like_any_creation(self, ada: Client) -> None:
        send(ada, table([{"title": f"{number}"} for number in range(5)]))

        assert len(ada.get(f"{TODOS}changes/").json()["results"]) == 5

    def test_of_more_than_the_account_has_room_for_adds_nothing(
        self, ada: Client, settings: Any
    ) -> None:
        settings.TODOS_PER_ACCOUNT = 1_500
        ada.add("the first")

        response = send(ada, table([{"title": f"{number}"} for number in range(1_500)]))

        assert (response.status_code, response.json()["code"]) == (409, "too_many")
        assert ada.list() == ["the first"]

    def test_of_an_account_that_goes_is_refused(self, ada: Client) -> None:
        HOLDINGS.entomb(ada.add()["owner"]["id"])

        assert send(ada, table([{"title": "late"}])).status_code == 409

    def test_of_nothing_adds_nothing(self, ada: Client) -> None:
        assert outcome(send(ada, "[]")) == (0, 0, 0)
        assert outcome(send(ada, "")) == (0, 0, 0)
        assert outcome(send(ada, "title,tags\n", CSV)) == (0, 0, 0)

    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", ""])
    def test_takes_nothing_else(self, ada: Client, kind: str) -> None:
        assert send(ada, "title\na\n", kind).status_code == 415

    def test_needs_a_sign_in(self) -> None:
        assert send(Client(), "[]").status_code == 401


BROKEN = [
    (JSON, '[\n{"title": "a"},\n{"title": ""},\n{"title": "b"}\n]', "line 3.title"),
    (JSON, '{"title": "a"}\n{"title": "x"\n{"title": "b"}\n', "line 2"),
    (JSON, '{"title": "a"}\nnull\n{"title": "b"}\n', "line 2"),
    (JSON, '{"title": "a"}\n\n\n{"title": "x", "due_at": "soon"}\n{"title": "b"}', "line 4.due_at"),
    (JSON, '{"title": "a"}\n{"title": "\\u0000"}\n{"title": "b"}', "line 2.title"),
    (JSON, '{"title": "a"}\n{"title": "\\ud800"}\n{"title": "b"}', "line 2.title"),
    (JSON, '{"title": "a"}\n{"title": "x", "tags": ["t", "t"]}\n{"title": "b"}', "line 2.tags"),
    (JSON, '{"title": "a"}\n' + "[" * 5000 + '\n{"title": 1}\n{"title": "b"}]', "line 3.title"),
    (JSON, '[{"title": "a"},\n{"title": "b"}\n', "line 3"),
    (JSON, '[{"title": "a"}]\n[{"title": "b"},\n', "line 3"),
    (
        JSON,
        '{"title": "a"}\n{"title": "x", "visibility": "\\udc00"}\n{"title": "b"}',
        "line 2.visibility",
    ),
    (CSV, "title,due_at\na,\nx,soon\nb,\n", "line 3.due_at"),
    (CSV, 'title,content\na,"two\nlines"\n,none\nb,\n', "line 4.title"),
    (CSV, "title,due_at\na,\nx,,\nb,\n", "line 3"),
    (CSV, 'title,tags\na,\nx,"[""a"""\nb,\n', "line 3"),
    (CSV, 'title\na\n"x"y\nb\n', "line 3"),
    (CSV, "title\na\nx\0y\nb\n", "line 3.title"),
]


@pytest.mark.parametrize(("kind", "body", "named"), BROKEN)
class TestBrokenLine:
    def test_is_named_and_nothing_goes_in(
        self, ada: Client, kind: str, body: str, named: str
    ) -> None:
        response = send(ada, body, kind)

        assert response.status_code == 400, response.text
        assert {error["field"] for error in response.json()["errors"]} == {named}
        assert ada.list() == []

    def test_is_named_and_everything_else_goes_in(
        self, ada: Client, kind: str, body: str, named: str
    ) -> None:
        response = send(ada, body, kind, broken="skip")

        assert outcome(response) == (2, 0, 1)
        assert f"line {response.json()['lines'][0]['line']}" == named.partition(".")[0]
        assert ada.list(ordering="title") == ["a", "b"]


class TestBrokenFile:
    def test_tells_of_a_hundred_lines_at_most(self, ada: Client) -> None:
        response = send(ada, '{"title": ""}\n' * 150, broken="skip")

        assert outcome(response) == (0, 0, 150)
        assert len(response.json()["lines"]) == 100

    def test_tells_of_each_todo_where_all_are_on_one_line(self, ada: Client) -> None:
        body = '[{"title": ""}, {"title": "a"}, {"title": "x", "due_at": "soon"},\n5, 6]'

        response = send(ada, body)

        assert refused_fields(response) == {
            *("line 1.title", "line 1, todo 3.due_at", "line 2", "line 2, todo 2")
        }
        told = send(ada, body, broken="skip").json()["lines"]
        assert [(each["line"], each["todo"]) for each in told] == [(1, 1), (1, 3), (2, 1), (2, 2)]

    @pytest.mark.parametrize("body", ["{} {} {} {}", "5 5 5 5", "[{}, {}, {}, {}]"])
    def test_is_not_looked_at_beyond_what_an_account_may_have(
        self, ada: Client, settings: Any, body: str
    ) -> None:
        settings.TODOS_PER_ACCOUNT = 3

        response = send(ada, body, broken="skip")

        assert (response.status_code, response.json()["code"]) == (409, "too_many")

    @pytest.mark.parametrize("broken", ["refuse", "skip"])
    def test_is_not_read_to_its_end_if_it_is_no_json(self, ada: Client, broken: str) -> None:
        deeper = '{"a": [\n'  # each line is read to where it is too deep, which takes long

        response = send(ada, '{"title": "a"}\n' + deeper * 2_000, broken=broken)

        assert refused_fields(response) == {"line 1002"}
        assert ada.list() == []

    @pytest.mark.parametrize(
        "raw",
        [
            *(b"\xff\xfe{", b'{"title": "\xff"}', b"\x00", b'{"title'),
            b"title,visibility\nx,\xff\n",
        ],
    )
    @pytest.mark.parametrize("kind", [JSON, CSV])
    def test_is_no_fault_of_ours(self, ada: Client, raw: bytes, kind: str) -> None:
        response = send(ada, raw, kind)

        assert response.status_code in (200, 400)
        assert ada.list() == []

    def test_wants_to_know_what_to_do_with_broken_lines(self, ada: Client) -> None:
        assert send(ada, "[]", broken="maybe").status_code == 400


class TestAtOnce:
    @pytest.mark.django_db(databases=["default", "todos"], transaction=True)
    @pytest.mark.parametrize("broken", ["refuse", "skip"])
    def test_a_file_that_is_sent_four_times_goes_in_once(self, broken: str) -> None:
        user = UserFactory.create()
        file = table([{"title": f"{number}"} for number in range(1_200)])

        answers = race(*[partial(send, signed_in(user), file, JSON, broken)] * 4)

        assert sum(outcome(answer)[0] for answer in answers) == 1_200
        assert Todo.objects.count() == 1_200


class TestForm:
    @pytest.mark.parametrize(
        ("name", "content"), [("mine.json", b'[{"title": "a"}]'), ("MINE.CSV", b"title\na\n")]
    )
    def test_takes_a_file(self, ada: Client, name: str, content: bytes) -> None:
        upload = SimpleUploadedFile(name, content)

        response = ada.post(IMPORT, {"file": upload}, format="multipart")

        assert outcome(response) == (1, 0, 0)

    def test_needs_a_file(self, ada: Client) -> None:
        assert ada.post(IMPORT, {}, format="multipart").status_code == 400


class TestMemory:
    """Of a hundred thousand todos: they are never held as a whole."""

    TODOS = 100_000
    LINES = 8_000  # as much text, and quick: the test is one transaction, which may not be idle
    MOST_BYTES = 40_000_000  # held, they would be 200 million and more

    @pytest.fixture(autouse=True)
    def quickly(self) -> None:
        with connections["todos"].cursor() as cursor:
            cursor.execute("DROP INDEX todos_found_by, todos_tags")

    @pytest.mark.parametrize(("kind", "others"), [("json", 3), ("csv", 2)])
    def test_of_an_export_does_not_grow(self, ada: Client, kind: str, others: int) -> None:
        owner_id = ada.add()["owner"]["id"]
        with connections["todos"].cursor() as cursor:
            cursor.execute(FILL, [owner_id, self.TODOS])

        response = ada.get(EXPORT, {"format": kind})
        with grown() as most:
            lines = sum(chunk.count(b"\n") for chunk in response)

        assert lines == self.TODOS + others
        assert most() < self.MOST_BYTES

    def test_of_an_import_does_not_grow(self, ada: Client, tmp_path: Path) -> None:
        ada.add("the first")
        file = tmp_path / "todos.json"
        with file.open("w") as lines:
            lines.writelines(
                f'{{"id": "{number}", "title": "todo", "content": "{"x" * 5_000}"}}\n'
                for number in range(self.LINES)
            )

        with file.open("rb") as body, grown() as most:
            sent = {"wsgi.input": body, "CONTENT_LENGTH": str(file.stat().st_size)}
            response = ada.generic("POST", IMPORT, b"-", content_type=JSON, **sent)

        assert outcome(response) == (self.LINES, 0, 0)
        assert most() < self.MOST_BYTES


FILL = """
INSERT INTO todos_todo (id, owner_id, title, content, category, tags, visibility, created_at,
                        updated_at, version)
SELECT uuidv7(), %s, 'todo ' || number, repeat('content of it ', 40), '', '{}', 'private', now(),
       now(), 1
FROM generate_series(1, %s) AS number
"""
