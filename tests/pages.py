"""Every page keeps to the policy that is sent with it: nothing is written into it that it does."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any


class Inline(HTMLParser):
    """Notes styles and scripts that a page has in itself. What people wrote is text to it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_data = given.get("type") == "application/json"
        if tag == "style" or (tag == "script" and "src" not in given and not is_data):
            self.found.append(f"<{tag}>")
        named = [name for name in given if name == "style" or name.startswith("on")]
        self.found += [f"<{tag} {name}=…>" for name in named]


def inline_in(response: Any) -> Iterator[str]:
    """What the Content-Security-Policy forbids in this answer to the test client."""
    if response.headers.get("Content-Type", "").startswith("text/html") and not response.streaming:
        page = Inline()
        page.feed(response.text)
        yield from page.found
