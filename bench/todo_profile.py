"""What the list of todos is made of: the query, the objects, the serialising, the JSON.

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
    from rest_framework.renderers import JSONRenderer

    from apps.todos.api.serializers import TodoSerializer
    from apps.todos.models import Owner
    from apps.todos.queries import list_todos
    from bench.todos import milliseconds
    from kit.directory import Viewer

    viewer = Viewer(Owner.objects.get(username=username).id)
    page = list_todos(viewer).order_by("-id")[:50]
    query, params = page.query.sql_with_params()
    todos = list(page)
    shown = TodoSerializer(todos, many=True).data

    def ask() -> None:
        with connections["todos"].cursor() as cursor:
            cursor.execute(query, params)
            cursor.fetchall()

    steps = {
        "query": ask,
        "query_and_objects": lambda: list(page.all()),
        "serialising": lambda: TodoSerializer(todos, many=True).data,
        "json": lambda: JSONRenderer().render(shown),
    }
    told = {name: median(milliseconds(step, 100)) for name, step in steps.items()}
    sys.stdout.write(json.dumps(told | {"todos": len(todos)}))


if __name__ == "__main__":
    main(sys.argv[1])
