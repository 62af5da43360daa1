"""Forms on a page, read and filled in as a browser does."""

from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """The forms of a page: for each, what a browser would send if nothing were touched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.attributes: list[dict[str, str | None]] = []
        self._textarea = ""
        self._select = ""
        self.feed(html)

    def form_with(self, name: str, **attributes: str) -> dict[str, Any]:
        """The fields of the form that has a field of this name, and these attributes."""
        for form, found in zip(self.forms, self.attributes, strict=True):
            if name in form and all(found.get(key) == attributes[key] for key in attributes):
                return form
        raise AssertionError(f"no form with {name} and {attributes} on this page")

    @property
    def methods(self) -> set[str]:
        """The methods that the page's buttons send."""
        return {form.get("data_method") or form.get("method") or "GET" for form in self.attributes}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "form":
            self.forms.append({})
            self.attributes.append({key.replace("-", "_"): value for key, value in attrs})
        elif not self.forms:
            return
        elif tag == "input" and name:
            if given.get("type") != "checkbox" or "checked" in given:
                self.forms[-1][name] = value
        elif tag == "textarea":
            self._textarea = name
            self.forms[-1][name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and (self._select not in self.forms[-1] or "selected" in given):
            self.forms[-1][self._select] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            first = not self.forms[-1][self._textarea]
            self.forms[-1][self._textarea] += data.removeprefix("\n") if first else data
