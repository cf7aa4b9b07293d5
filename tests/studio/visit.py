"""A page that is open in a browser, and all that it asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 150_000.0  # ms; a busy machine is given time


class Visit:
    """Somebody who looks at the studio.

    Attributes:
        asked: Every address that the page asked for.
        complaints: What went wrong in its scripts.
    """

    def __init__(self, browser: Any, address: str, language: str = "", **how: Any) -> None:
        how.setdefault("viewport", {"width": 1280, "height": 900})
        self.context = browser.new_context(locale=how.pop("locale", "en-US"), **how)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.address = address
        self.page.goto(f"{address}/{language}")
        self.page.wait_for_selector("#cover-go")

    def hosts(self) -> set[str]:
        """Machines that the page asked for anything."""
        return {urlsplit(url).netloc for url in self.asked if url.startswith(("http", "ws"))}

    def shot(self, path: Path) -> None:
        """A picture of all of the page, to be looked at by a person."""
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=path, full_page=True)

    def tab(self, name: str) -> None:
        """Go to a tab by what is written on it."""
        self.page.click(f"button[role=tab]:visible:text-is('{name}')")

    def choose(self, selector: str, text: str) -> None:
        """Choose of a list, as a person does: write the beginning, and press Enter."""
        box = self.page.locator(f"{selector} input")
        box.click()
        box.fill(text)
        self.page.locator("ul[role=listbox] li[role=option]").filter(has_text=text).first.click()

    def told(self, text: str) -> None:
        """Wait for a message that goes by itself, and send it away."""
        toast = self.page.locator(".toast-body", has_text=text)
        toast.wait_for()
        toast.locator("button").first.click()
        toast.wait_for(state="detached")

    def taken(self, press: str, path: Path) -> Path:
        """Press what gives a file to take home."""
        with self.page.expect_download() as download:
            self.page.click(press)
        download.value.save_as(path)
        return path

    def fine(self) -> None:
        """Nothing was asked of another machine, and no script failed."""
        assert self.hosts() == {urlsplit(self.address).netloc}
        assert not self.complaints
