"""Todos in files, JSON and CSV: written and read a todo at a time, however many there are."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO, Any, NamedTuple

from rest_framework.utils.json import strict_constant

from apps.todos.api.serializers import TodoSerializer
from apps.todos.models import Todo
from kit.errors import Invalid

COLUMNS = [
    *("id", "title", "content", "category", "tags", "due_at", "completed", "completed_at"),
    *("visibility", "created_at", "updated_at", "deleted_at", "version"),
]
WRITTEN_TODOS = 100  # at a time
READ_CHARACTERS = 64 * 1024
# A todo is shorter, even with each of its characters escaped.
LONGEST_TODO = 1024 * 1024
# What cannot be read is read once from each of its lines on: of this many it is no JSON at all.
MOST_UNREADABLE = 1_000
# What stands between two todos: those of an array, or each on a line of its own.
BETWEEN = re.compile(r"[\s,\[\]]*")
DECODER = json.JSONDecoder(parse_constant=strict_constant)


class Entry(NamedTuple):
    """What a file has for one todo, and the number of the line where that begins, from 1.

    `broken`: why it cannot be read at all. `todo`: which of those on the line, from 1.
    """

    line: int
    data: dict[str, Any]
    broken: str = ""
    todo: int = 1


def as_json(todos: Iterable[Todo]) -> Iterator[str]:
    """An array, with each todo on a line of its own."""
    shown = TodoSerializer()
    opening = "[\n"
    for some in _together(todos):
        lines = (json.dumps(shown.to_representation(todo), ensure_ascii=False) for todo in some)
        yield opening + ",\n".join(lines)
        opening = ",\n"
    yield "[]\n" if opening == "[\n" else "\n]\n"


def as_csv(todos: Iterable[Todo]) -> Iterator[str]:
    """A line of names, and one for each todo. Tags are a JSON array in their cell."""
    shown = TodoSerializer()
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    for some in _together(todos):
        for todo in some:
            cells = shown.to_representation(todo)
            cells["tags"] = json.dumps(todo.tags, ensure_ascii=False) if todo.tags else ""
            cells["completed"] = "true" if todo.completed else "false"
            writer.writerow(cells)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _together(todos: Iterable[Todo]) -> Iterator[list[Todo]]:
    some: list[Todo] = []
    for todo in todos:
        some.append(todo)
        if len(some) == WRITTEN_TODOS:
            yield some
            some = []
    if some:
        yield some


def read_json(file: IO[bytes]) -> Iterator[Entry]:
    """The objects of an array, or of a file that has one behind the other.

    Behind one that cannot be read it goes on with the next line, and an array that does not end is
    a broken line, too: the file is not all there. Raises Invalid where there are too many lines
    that cannot be read.
    """
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    buffer, at, line, ended = "", 0, 1, False
    todo, unreadable, is_open = 1, 0, False
    while True:
        start = BETWEEN.match(buffer, at).end()  # type: ignore[union-attr]  # matches nothing too
        opens, closes = buffer.rfind("[", at, start), buffer.rfind("]", at, start)
        is_open = opens > closes or (is_open and closes < 0)
        if lines := buffer.count("\n", at, start):
            line, todo = line + lines, 1
        at = start
        try:
            data, end = DECODER.raw_decode(buffer, at)
        except (ValueError, RecursionError):
            if not ended and len(buffer) - at < LONGEST_TODO:
                more = text.read(READ_CHARACTERS)
                buffer, at, ended = buffer[at:] + more, 0, not more
                continue
            if at == len(buffer):
                if is_open and not unreadable:  # or its end may have been on a line passed over
                    yield Entry(line, {}, "The array does not end.", todo)
                return
            unreadable += 1
            if unreadable > MOST_UNREADABLE:
                message = f"This is not JSON: {MOST_UNREADABLE:,} lines cannot be read."
                raise Invalid(message, field=f"line {line}") from None
            yield Entry(line, {}, "This is not JSON.", todo)
            end = buffer.find("\n", at)
            at = len(buffer) if end < 0 else end
            continue
        if isinstance(data, dict):
            yield Entry(line, data, todo=todo)
        else:
            yield Entry(line, {}, "A todo is an object.", todo)
        todo += 1
        if lines := buffer.count("\n", at, end):
            line, todo = line + lines, 1
        at = end


def read_csv(file: IO[bytes]) -> Iterator[Entry]:
    """The lines behind the first, which names the columns. An empty cell is none.

    Tags are a JSON array, or have commas between. Where the names have semicolons between, as
    spreadsheets write them where a comma is a decimal point, all cells do.
    """
    text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    first = text.readline()
    between = ";" if ";" in first and "," not in first else ","
    rows = csv.reader(chain([first], text), delimiter=between, strict=True)
    names: list[str] | None = None
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Entry(line, {}, f"This is not CSV: {error}.")
            continue
        if names is None:
            names = [cell.strip() for cell in cells]
        elif len(cells) > len(names):
            yield Entry(line, {}, f"There are {len(cells)} cells for {len(names)} columns.")
        elif cells:
            given = zip(names, cells, strict=False)
            yield _of_cells(line, {name: cell for name, cell in given if cell})


def _of_cells(line: int, data: dict[str, Any]) -> Entry:
    tags = data.get("tags", "")
    if tags.startswith("["):
        try:
            data["tags"] = json.loads(tags)
        except (ValueError, RecursionError):
            return Entry(line, {}, "The tags are not a JSON array.")
    elif tags:
        data["tags"] = [tag for tag in tags.split(",") if tag.strip()]
    return Entry(line, data)
