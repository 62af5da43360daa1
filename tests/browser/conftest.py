"""A real browser on a live server. A page that complains, or asks another host, fails its test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Response, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.factories import PASSWORD, UserFactory
from tests.people import EVERYWHERE, Citizen, settle

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-default-apps"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.django_db(databases=EVERYWHERE, transaction=True))
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip("there is no Chromium: apt install chromium"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Playwright runs a loop in this thread, in which Django would refuse its databases."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page(chromium: Browser, live_server: LiveServer) -> Iterator[Page]:
    """A new window, of nobody yet."""
    context = chromium.new_context(base_url=live_server.url)
    page = context.new_page()
    page.set_default_timeout(15_000)
    complaints: list[str] = []

    def look_at(request: Request) -> None:
        if not request.url.startswith((live_server.url, "data:", "blob:")):
            complaints.append(f"asks {request.url}")

    def look_at_answer(answer: Response) -> None:
        """What a page is made of is there. A page, or a call of its script, may be refused."""
        is_part = answer.request.resource_type not in ("document", "fetch", "xhr")
        if is_part and answer.status >= 400:
            complaints.append(f"{answer.status} {answer.url}")

    page.on("request", look_at)
    page.on("response", look_at_answer)
    page.on("console", lambda said: complain(complaints, said))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def complain(complaints: list[str], said: Any) -> None:
    """Note what the browser says of a page, other than that an answer was the error it should."""
    if said.type in ("error", "warning") and "Failed to load resource" not in said.text:
        complaints.append(said.text)


@pytest.fixture
def ada() -> Citizen:
    """An operator with todos and a counter."""
    citizen = settle("ada", rows=3)
    user = UserFactory._meta.model.objects.get(id=citizen.id)
    user.set_password(PASSWORD)
    user.is_staff = user.is_superuser = True
    user.email = "ada@example.com"
    user.save()
    return citizen


def sign_in(page: Page, path: str) -> None:
    """By the form to which this page leads."""
    page.goto(path)
    page.fill("[name=username]", "ada")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_load_state()
