"""What the todos app keeps for users."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.todos.models import FeedCursor, Owner, Todo
from apps.users import public as users
from kit.holdings import Holdings


class TodosHoldings(Holdings):
    app = "todos"
    alias = "todos"
    owners = Owner
    cursors = FeedCursor
    directory = users

    def rows_of(self, owner_id: UUID) -> list[QuerySet[Any]]:
        return [Todo.objects.filter(owner=owner_id)]


TODOS = TodosHoldings()
