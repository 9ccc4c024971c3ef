"""People in front of a node's pages, in a real browser."""

from __future__ import annotations

from playwright.sync_api import Browser, Locator, Page, expect

from halle_cli.demo.actors import NodeProcess

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


class Visitor:
    """A person in front of a node's pages; what the browser complains of is kept."""

    def __init__(self, browser: Browser, node: NodeProcess, size: dict[str, int]) -> None:
        self.node = node
        self.complaints: list[str] = []
        self.page = self._watched(browser.new_context(viewport=size, locale="en-GB").new_page())  # type: ignore[arg-type]
        self.page.goto(node.api.new_setup_url())

    def _watched(self, page: Page) -> Page:
        page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", lambda answer: self.complaints.append(answer.url) if answer.status >= 400 else None)
        return page

    def open(self, path: str) -> Page:
        """Go to one of the node's own pages."""
        self.page.goto(self.node.found.local_url + path)
        return self.page

    def assert_content(self) -> None:
        """Nothing was blocked, missing or wider than the screen."""
        assert not self.complaints
        width = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert self.page.evaluate(width), self.page.url


def look_until(page: Page, something: Locator) -> None:
    """Look at the page again until something is there, as a person who waits does."""
    for _ in range(60):
        if something.count():
            return
        page.wait_for_timeout(500)
        page.reload()
    expect(something.first).to_be_attached()
