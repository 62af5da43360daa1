from django.apps import AppConfig


class TodosConfig(AppConfig):
    name = "apps.todos"
    label = "todos"

    def ready(self) -> None:
        from apps.todos.owners import TODOS
        from kit import holdings

        holdings.register(TODOS)
