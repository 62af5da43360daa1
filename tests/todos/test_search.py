"""Search: words and parts of words, in any language, best first, by its index."""

from typing import Any

import pytest

from tests.todos.conftest import TODOS, Client, address_of
from tests.todos.test_list import fill, plan_of

pytestmark = pytest.mark.django_db(databases=["default", "todos"])


class TestFinds:
    @pytest.mark.parametrize(
        ("words", "titles"),
        [
            ("우유", ["우유를 사다", "딸기우유 두 개"]),
            ("우", ["우유를 사다", "딸기우유 두 개"]),
            ("유를", ["우유를 사다"]),
            ("牛乳", ["牛乳を買う"]),
            ("乳を買う", ["牛乳を買う"]),
            ("ｷﾞﾌﾄ", ["ギフト"]),
            ("ギフ", ["ギフト"]),
            ("\uff47\uff49\uff46\uff54", ["gift"]),
            ("купить", ["Купить МОЛОКО"]),
            ("лок", ["Купить МОЛОКО"]),
            ("ÉLAN", ["Élan vital"]),
            ("e\u0301lan", ["Élan vital"]),
            ("🥛", ["🥛 and 🍞"]),
            ("it's", ["it's \\ and & | ! : *"]),
            ("\\", ["it's \\ and & | ! : *"]),
            ("& | !", ["it's \\ and & | ! : *"]),
            (":*", []),
            ("우유 두", ["딸기우유 두 개"]),
            ("우유 없음", []),
        ],
    )
    def test_parts_of_words_of_any_language(
        self, ada: Client, words: str, titles: list[str]
    ) -> None:
        for title in [
            *("딸기우유 두 개", "우유를 사다", "牛乳を買う", "ギフト", "gift", "Купить МОЛОКО"),
            *("Élan vital", "🥛 and 🍞", "it's \\ and & | ! : *"),
        ]:
            ada.add(title)

        assert ada.list(search=words) == titles

    def test_no_word_whose_parts_are_there_but_not_in_a_row(self, ada: Client) -> None:
        ada.add("abcd bcde")

        assert ada.list(search="abcde") == []
        assert ada.list(search="bcde") == ["abcd bcde"]

    def test_no_word_over_the_end_of_another(self, ada: Client) -> None:
        ada.add("milk and", content="oats")

        assert ada.list(search="ando") == []

    def test_words_at_the_end_of_the_longest_content(self, ada: Client) -> None:
        different = "".join(chr(0x4E00 + number * 7 % 20_000) for number in range(49_996))
        ada.add("long", content=f"{different}우유")

        assert ada.list(search="우유") == ["long"]


class TestWho:
    def test_finds_ones_own_and_what_is_public_by_now(
        self, ada: Client, bob: Client, staff: Client
    ) -> None:
        ada.add("milk of mine")
        todo = bob.add("milk of his")
        found = {"milk of mine", "milk of his"}

        assert set(ada.list(search="milk")) == {"milk of mine"}
        assert set(bob.list(search="milk")) == {"milk of his"}
        assert set(staff.list(search="milk")) == found
        bob.patch(address_of(todo), {"visibility": "public"})
        assert set(ada.list(search="milk")) == found
        bob.patch(address_of(todo), {"visibility": "private"})
        assert set(ada.list(search="milk")) == {"milk of mine"}

    def test_finds_in_the_trash_ones_own_only(
        self, ada: Client, bob: Client, staff: Client
    ) -> None:
        for client, title in [(ada, "milk of mine"), (bob, "milk of his")]:
            client.delete(address_of(client.add(title, visibility="public")))

        assert ada.list(search="milk", deleted="true") == ["milk of mine"]
        assert staff.list(search="milk", deleted="true") == ["milk of his", "milk of mine"]
        assert staff.list(search="milk") == []

    @pytest.mark.parametrize("words", ["public", "private", " public"])
    def test_is_no_word_of_a_todo(self, ada: Client, words: str) -> None:
        ada.add("milk", visibility="public")

        assert ada.list(search=words) == []


class TestRank:
    def test_has_whole_words_of_the_title_first_and_then_the_newest(self, ada: Client) -> None:
        for title, content in [
            ("old milk", ""),
            ("Rest", "milky oats"),
            ("Rest a while", "with milk."),
            ("Milky way", "milk"),
            ("buy Milk!", ""),
        ]:
            ada.add(title, content=content)

        assert ada.list(search="milk") == [
            *("buy Milk!", "old milk"),
            *("Milky way", "Rest a while", "Rest"),
        ]

    def test_gives_way_to_the_order_asked_for(self, ada: Client) -> None:
        for title in ("b milk", "a milky", "c"):
            ada.add(title, content="milk")

        assert ada.list(search="milk", ordering="title") == ["a milky", "b milk", "c"]

    def test_leads_through_pages_that_have_each_once(self, ada: Client) -> None:
        for number in range(13):
            ada.add(["milk", "milky", "rest"][number % 3], content=f"milk {number}")

        seen: list[str] = []
        address = f"{TODOS}?search=milk&page_size=3"
        while address:
            page = ada.get(address).json()
            seen += [todo["content"] for todo in page["results"]]
            address = page["next"]
            ada.add("late", content="milk late")  # the newest of its rank

        newest_first = [f"milk {number}" for number in range(12, -1, -1)]
        ranked = [newest_first[start::3] for start in (0, 2, 1)]  # milk, milky, rest
        assert [content for content in seen if "late" not in content] == [
            content for rank in ranked for content in rank
        ]


class TestIndex:
    @pytest.mark.parametrize("words", ["우유", "우", "milk", "딸기우유 두", "xq"])
    def test_is_used_also_for_what_is_shorter_than_three(
        self, staff: Client, ada: Client, django_assert_num_queries: Any, words: str
    ) -> None:
        todo = ada.add("딸기우유 두 개", content="milk xq")
        fill(owners=500, todos=1_500)

        with django_assert_num_queries(1, using="todos") as captured:
            found = staff.get(TODOS, {"search": words}).json()["results"]

        assert [each["id"] for each in found] == [todo["id"]]
        plan = plan_of(captured[0]["sql"])
        assert "todos_found_by" in plan
        assert "Seq Scan on todos_todo" not in plan

    @pytest.mark.parametrize("words", ["우유", "우", "milk"])
    def test_is_used_for_who_sees_their_own_and_the_public(
        self, ada: Client, django_assert_num_queries: Any, words: str
    ) -> None:
        todo = ada.add("딸기우유 두 개", content="milk")
        fill(owners=500, todos=1_500)

        with django_assert_num_queries(1, using="todos") as captured:
            found = ada.get(TODOS, {"search": words}).json()["results"]

        assert [each["id"] for each in found] == [todo["id"]]
        plan = plan_of(captured[0]["sql"])
        assert "todos_found_by" in plan
        assert "Seq Scan on todos_todo" not in plan

    def test_follows_changes(self, ada: Client) -> None:
        todo = ada.add("우유")

        ada.patch(address_of(todo), {"title": "빵"})

        assert (ada.list(search="우유"), ada.list(search="빵")) == ([], ["빵"])
