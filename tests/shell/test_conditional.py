"""Who says which version he has is not told it again, and does not overwrite another."""

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from kit.api.conditional import NO_VERSION, etag

pytestmark = pytest.mark.urls("tests.shell.routes")

URL = "/api/page/"


def write(client: Client, method: str, body: bool, **headers: str) -> HttpResponse | Any:
    return client.generic(
        method,
        URL,
        data='{"version": 5}' if body else "{}",
        content_type="application/json",
        headers=headers,
    )


class TestReading:
    def test_gives_a_strong_tag_that_changes_with_all_that_is_shown(self, client: Client) -> None:
        tag = client.get(URL)["ETag"]

        assert tag == etag(3, "ada")
        assert tag.startswith('"3-')
        assert tag != client.get(f"{URL}?name=eve")["ETag"]
        assert etag(3) == '"3"'

    @pytest.mark.parametrize("sent", ["{tag}", "W/{tag}", '"x", {tag}', "*", " {tag} "])
    def test_gives_304_to_who_has_it(self, client: Client, sent: str) -> None:
        tag = etag(3, "ada")

        response = client.get(URL, headers={"If-None-Match": sent.format(tag=tag)})

        assert (response.status_code, response["ETag"], response.content) == (304, tag, b"")

    @pytest.mark.parametrize("sent", ['"3"', '"2"', "3", "", '"', "\x00"])
    def test_gives_it_to_who_has_another_or_none(self, client: Client, sent: str) -> None:
        assert client.get(URL, headers={"If-None-Match": sent}).status_code == 200

    def test_gives_a_browser_its_page_without_a_tag(self, client: Client) -> None:
        response = client.get(URL, headers={"Accept": "text/html", "If-None-Match": "*"})

        assert response.status_code == 200
        assert "ETag" not in response


class TestWriting:
    @pytest.mark.parametrize(
        ("if_match", "expected"),
        [
            ('"3"', 3),
            (etag(3, "ada"), 3),
            (etag(12, "renamed since"), 12),
            ("*", None),
            ('W/"3"', NO_VERSION),
            ('"of another site"', NO_VERSION),
            ('"9999999999999999999999"', NO_VERSION),
        ],
    )
    def test_expects_the_version_of_the_tag(
        self, client: Client, if_match: str, expected: int | None
    ) -> None:
        response = write(client, "PATCH", {}, **{"If-Match": if_match})

        assert response.json() == {"expected": expected}

    @pytest.mark.parametrize("if_match", ["3", '"3', '"2", "3"', ",", "\x00", "**"])
    def test_refuses_what_is_not_one_tag(self, client: Client, if_match: str) -> None:
        response = write(client, "PATCH", {}, **{"If-Match": if_match})

        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == "If-Match"

    def test_expects_any_version_without_a_condition(self, client: Client) -> None:
        assert write(client, "PATCH", {}).json() == {"expected": None}

    def test_takes_the_version_from_the_body_unless_a_header_says(self, client: Client) -> None:
        in_body = write(client, "PUT", {"version": 5})
        in_both = write(client, "PUT", {"version": 5}, **{"If-Match": '"3"'})

        assert (in_body.json(), in_both.json()) == ({"expected": 5}, {"expected": 3})

    def test_is_428_where_a_condition_is_needed(self, client: Client) -> None:
        response = write(client, "PUT", {})

        assert response.status_code == 428
        assert response.json()["code"] == "precondition_required"
