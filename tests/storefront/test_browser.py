"""Real Chromium over real pages: no policy violation, no missing file, no sideways scrolling, visible focus."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browsing import CHROMIUM, PAGES, SIZES, open_browser, serve_stall
from playwright.async_api import Browser, expect
from stall import Stall, fill, make_stall

from halle_storefront import WebAddresses

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
if not Path(CHROMIUM).exists():
    if os.environ.get("HALLE_REQUIRE") == "all":
        pytest.fail("chromium is missing: apt install chromium", pytrace=False)
    pytestmark.append(pytest.mark.skip(reason="chromium is missing: apt install chromium"))

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


async def test_every_page_is_clean_at_both_sizes_and_in_both_languages(served, browser: Browser) -> None:
    stall, web = served
    store = "0x" + stall.keys.store_address.hex()
    troubles: list[str] = []
    for size, (width, height) in SIZES.items():
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        where = [""]
        page.on(
            "console",
            lambda said: (
                troubles.append(f"{where[0]}: {said.text}")
                if said.type in ("error", "warning") and "error" not in where[0]
                else None
            ),
        )
        page.on("pageerror", lambda error: troubles.append(f"{where[0]}: {error}"))
        page.on(
            "response",
            lambda got: (
                troubles.append(f"{where[0]}: {got.status} {got.url}")
                if got.status >= 400 and "nothing-here" not in got.url
                else None
            ),
        )
        await page.goto(web.new_setup_url())
        for name, (side, path) in PAGES.items():
            for lang in ("fr", "en") if size == "phone" else ("fr",):
                where[0] = f"{name}-{size}-{lang}"
                base = web.shop_url if side == "shop" else web.local_url
                await page.goto(f"{base}/{lang}{path.format(store=store)}")
                if excess := await page.evaluate(SIDEWAYS):
                    troubles.append(f"{where[0]}: {excess}px wider than the window")
        await context.close()
    assert troubles == []


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
    await page.keyboard.type("chemise")
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
