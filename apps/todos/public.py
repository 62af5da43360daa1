"""The door of the todos app: the only module that other apps and `tasks` may import."""

from apps.todos.owners import TODOS as holdings

__all__ = ["holdings"]
