"""One's own tags and categories, with counts."""

from typing import Any

import pytest

from tests.todos.conftest import TODOS, Client, address_of

pytestmark = pytest.mark.django_db(databases=["default", "todos"])


def counts(client: Client, which: str, **parameters: Any) -> dict[str, int]:
    page = client.get(f"{TODOS}{which}/", parameters).json()
    return {label["name"]: label["count"] for label in page["results"]}


@pytest.fixture
def chores(ada: Client, bob: Client) -> Client:
    ada.add("Milk", category="errands", tags=["shop", "food"])
    ada.add("Bread", category="errands", tags=["food"], completed=True)
    ada.add("우유", category="집", tags=["food", "집"])
    ada.add("Nap")
    bob.add("Bob's", category="his", tags=["his", "food"], visibility="public")
    return ada


class TestTags:
    def test_are_ones_own_with_how_many_todos_have_each(self, chores: Client) -> None:
        assert counts(chores, "tags") == {"food": 3, "shop": 1, "집": 1}

    def test_follow_changes(self, chores: Client) -> None:
        milk = chores.get(TODOS, {"category": "errands", "search": "milk"}).json()["results"][0]

        chores.patch(address_of(milk), {"tags": ["food", "new"]})

        assert counts(chores, "tags") == {"food": 3, "new": 1, "집": 1}

    def test_that_differ_in_case_are_two(self, ada: Client) -> None:
        ada.add(tags=["Shop", "shop"])

        assert counts(ada, "tags") == {"Shop": 1, "shop": 1}


class TestCategories:
    def test_are_ones_own_with_how_many_todos_are_in_each(self, chores: Client) -> None:
        assert counts(chores, "categories") == {"errands": 2, "집": 1}


@pytest.mark.parametrize("which", ["tags", "categories"])
class TestPages:
    def test_have_each_once_in_order(self, ada: Client, which: str) -> None:
        for number in range(7):
            ada.add(tags=[f"label {number}"], category=f"label {number}")

        seen: list[str] = []
        address = f"{TODOS}{which}/?page_size=3"
        while address:
            page = ada.get(address).json()
            assert len(page["results"]) <= 3
            seen += [label["name"] for label in page["results"]]
            address = page["next"]

        assert seen == [f"label {number}" for number in range(7)]

    def test_cost_one_query(self, ada: Client, which: str, django_assert_num_queries: Any) -> None:
        for number in range(7):
            ada.add(tags=[f"label {number}"], category=f"label {number}")

        for size in (1, 7):
            with django_assert_num_queries(1, using="todos"):
                ada.get(f"{TODOS}{which}/", {"page_size": size})
