"""Real Chromium over real pages: no policy violation, no missing file, no sideways scrolling, visible focus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browsing import PAGES, SIZES, open_browser, serve_stall
from playwright.async_api import Browser, ConsoleMessage, Page, Response, expect
from stall import Stall, fill, make_stall

from halle_storefront import WebAddresses

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

# A box may scroll inside itself; the page as a whole may not.
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
OUTLINE = """() => {
  const style = getComputedStyle(document.activeElement), after = getComputedStyle(document.activeElement, '::after');
  const shown = (s) => s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
  return [document.activeElement.tagName, shown(style) || shown(after)];
}"""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Stall, WebAddresses]]:
    stall = await fill(make_stall(tmp_path))
    web = await serve_stall(stall)
    yield stall, web
    await web.close()
    await stall.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


class Listener:
    """Notes what a page complains about, and on which page."""

    def __init__(self) -> None:
        self.here = ""
        self.troubles: list[str] = []

    def note(self, text: str) -> None:
        self.troubles.append(f"{self.here}: {text}")

    def follow(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.note(str(error)))
        page.on("console", self._said)
        page.on("response", self._answered)

    def _said(self, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning") and not self.here.startswith("error"):
            self.note(said.text)

    def _answered(self, got: Response) -> None:
        if got.status >= 400 and "nothing-here" not in got.url:
            self.note(f"{got.status} {got.url}")


async def test_every_page_is_clean_at_both_sizes_and_in_both_languages(served, browser: Browser) -> None:
    stall, web = served
    store = "0x" + stall.keys.store_address.hex()
    listener = Listener()
    for size, (width, height) in SIZES.items():
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        listener.follow(page)
        await page.goto(web.new_setup_url())
        for name, (side, path) in PAGES.items():
            for lang in ("fr", "en") if size == "phone" else ("fr",):
                listener.here = f"{name}-{size}-{lang}"
                base = web.shop_url if side == "shop" else web.local_url
                await page.goto(f"{base}/{lang}{path.format(store=store)}")
                if excess := await page.evaluate(SIDEWAYS):
                    listener.note(f"{excess}px wider than the window")
        await context.close()
    assert listener.troubles == []


async def test_keyboard_focus_is_always_visible(served, browser: Browser) -> None:
    _, web = served
    page = await browser.new_page()
    await page.goto(web.new_setup_url())
    for path in ("/fr/admin/", "/fr/market/", "/fr/admin/products/chemise-bleue"):
        await page.goto(web.local_url + path)
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        for _ in range(25):
            tag, visible = await page.evaluate(OUTLINE)
            assert visible or tag == "BODY", (path, tag)
            await page.keyboard.press("Tab")


async def test_search_as_you_type_narrows_without_leaving_the_page(served, browser: Browser) -> None:
    _, web = served
    page = await browser.new_page()
    await page.goto(web.new_setup_url())
    await page.goto(f"{web.local_url}/fr/market/")
    await page.keyboard.press("/")
    await page.keyboard.type("chemise", delay=60)  # as a person types
    await expect(page.locator(".tile")).to_have_count(1)
    assert "q=chemise" in page.url


async def test_forms_work_without_any_script(served, browser: Browser) -> None:
    stall, web = served
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(web.new_setup_url())
    await page.goto(f"{web.local_url}/fr/market/p/0x{stall.keys.store_address.hex()}/chemise-bleue?sku=CB-M")
    await page.get_by_role("button", name="Mettre au panier").click()
    assert page.url.endswith("/fr/market/cart?done=added")
    assert stall.trade.done[-1] == ("cart", "add", {"handle": "chemise-bleue", "sku": "CB-M", "quantity": 1})
    await page.goto(f"{web.local_url}/fr/market/orders/{'e5' * 16}")
    await page.get_by_role("button", name="Approuver et payer").click()
    assert stall.trade.done[-1][1] == "approve"
