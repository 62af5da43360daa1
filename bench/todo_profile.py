"""What the list of todos is made of: the query, the rows, the serialising, the JSON.

A program of its own, for it needs epis' settings: `python -m bench.todo_profile USERNAME`. It
prints JSON: milliseconds for 50 todos, each the median of a hundred.
"""

import json
import sys
from statistics import median


def main(username: str) -> None:
    import django

    django.setup()
    from django.db import connections

    from apps.todos.api.serializers import represent
    from apps.todos.models import Owner
    from apps.todos.queries.listing import list_todos, order_of
    from bench.todos import milliseconds, page
    from kit.api.bodies import QuickJSONRenderer
    from kit.directory import Viewer

    viewer = Viewer(Owner.objects.get(username=username).id)
    query, told = page()
    told |= {"me": viewer.user_id}
    order = order_of([], searched=False)
    todos = list_todos(viewer, {}, order, 50)
    shown = [represent(todo) for todo in todos]

    def ask() -> None:
        with connections["todos"].cursor() as cursor:
            cursor.execute(query, told)
            cursor.fetchall()

    steps = {
        "query": ask,
        "query_and_rows": lambda: list_todos(viewer, {}, order, 50),
        "serialising": lambda: [represent(todo) for todo in todos],
        "json": lambda: QuickJSONRenderer().render(shown),
    }
    told = {name: median(milliseconds(step, 100)) for name, step in steps.items()}
    sys.stdout.write(json.dumps(told | {"todos": len(todos)}))


if __name__ == "__main__":
    main(sys.argv[1])
