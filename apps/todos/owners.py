"""What the todos app keeps for users."""

from apps.todos.models import FeedCursor, Owner, Todo
from apps.users import public as users
from kit.holdings import Holdings


class TodosHoldings(Holdings):
    app = "todos"
    alias = "todos"
    owners = Owner
    cursors = FeedCursor
    rows = [(Todo, "owner")]
    directory = users


TODOS = TodosHoldings()
