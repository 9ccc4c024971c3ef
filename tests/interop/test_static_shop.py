"""The static shop in a real browser, through Kubo's own gateway, which fetched it from us by bitswap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from interop.conftest import MakeKubo
from interop.kubo_daemon import KuboDaemon
from interop.shop_node import ShopNode, shop_node
from requirements import CHROMIUM_FLAGS, require_chromium

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SIZES = {"phone": (390, 844), "desk": (1280, 900)}
SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
SHIRT = "p/55/chemise-bleue.html"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[ShopNode]:
    async with shop_node(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
async def plain_shop(tmp_path: Path) -> AsyncIterator[ShopNode]:
    """The same without pictures, which take a moment to prepare."""
    async with shop_node(tmp_path / "home", photos=False) as opened:
        yield opened


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as play:
        opened = await play.chromium.launch(executable_path=require_chromium(), args=CHROMIUM_FLAGS)
        yield opened
        await opened.close()


@asynccontextmanager
async def watched(browser: Browser, origin: str, **options: object) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page, and what it complains about or asks of anybody but `origin`."""
    context = await browser.new_context(**options)  # type: ignore[arg-type]
    page, troubles = await context.new_page(), []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("response", lambda got: troubles.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    page.on("request", lambda ask: None if ask.url.startswith(origin) else troubles.append(f"asked {ask.url}"))
    yield page, troubles
    await context.close()


async def test_shop_renders_searches_and_leads_to_an_order_through_kubo(
    shop: ShopNode, kubo: KuboDaemon, browser: Browser
) -> None:
    await asyncio.to_thread(kubo.connect, shop.node.network.addrs[0])
    base, store = f"{kubo.gateway}/ipfs/{shop.site}", "0x" + shop.node.keys.store_address.hex()
    texts = {"fr": ("Commander avec mon client Halle", "89,00"), "en": ("Order with my Halle client", "89.00")}
    for width, height in SIZES.values():
        viewport = {"width": width, "height": height}
        async with watched(browser, kubo.gateway, viewport=viewport) as (page, troubles):
            for lang, (button, price) in texts.items():
                await page.goto(f"{base}/{lang}/index.html")
                await expect(page.locator(".tile")).to_have_count(5)
                assert await page.locator("html").get_attribute("lang") == lang
                assert await page.evaluate(SIDEWAYS) == 0
                await page.get_by_role("link", name="Chemise en lin bleue").click()
                assert page.url == f"{base}/{lang}/{SHIRT}"
                await expect(page.locator(".price-big")).to_contain_text(price)
                await page.wait_for_function("() => document.querySelector('.big-pic img').naturalWidth > 0")
                link = await page.get_by_role("link", name=button).get_attribute("href")
                assert link == f"http://127.0.0.1:8480/{lang}/market/p/{store}/chemise-bleue"
                await expect(page.get_by_text(f"halle://{store}/chemise-bleue")).to_be_visible()
                assert await page.evaluate(SIDEWAYS) == 0
                await page.goto(f"{base}/{lang}/policies/returns.html")
                await expect(page.get_by_text("30 jours")).to_be_visible()
        assert troubles == []


async def test_search_needs_no_server_no_accents_and_no_mouse(
    plain_shop: ShopNode, kubo: KuboDaemon, browser: Browser
) -> None:
    await asyncio.to_thread(kubo.connect, plain_shop.node.network.addrs[0])
    base = f"{kubo.gateway}/ipfs/{plain_shop.site}"
    async with watched(browser, kubo.gateway) as (page, troubles):
        await page.goto(f"{base}/")  # the front page is in the shop's own language
        await page.keyboard.press("/")
        await page.keyboard.type("ECHARPE pyrenees")
        await page.keyboard.press("Enter")
        await expect(page.locator(".tile")).to_have_count(1)
        assert page.url.startswith(f"{base}/fr/search.html?q=")
        await expect(page.get_by_role("status")).to_have_text("1 produit trouvé")
        await page.get_by_role("link", name="English").click()
        await expect(page.get_by_role("status")).to_have_text("1 product found")
        for asked, count in (("bols de grès", 1), ("tâsse mièl", 1), ("atelier", 5), ("zzz", 0)):
            await page.get_by_role("searchbox").fill(asked)
            await expect(page.locator(".tile")).to_have_count(count)
        await page.get_by_role("searchbox").fill("vase")
        await expect(page.locator(".tile")).to_have_count(1)
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Vase boule")).to_be_visible()
    assert troubles == []
    async with watched(browser, kubo.gateway, java_script_enabled=False) as (page, troubles):
        await page.goto(f"{base}/fr/index.html")
        await page.get_by_role("searchbox").fill("bol")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name="Bol en grès")).to_be_visible()
    assert troubles == []


async def test_shop_is_reached_by_its_name_alone_and_on_an_origin_of_its_own(
    plain_shop: ShopNode, make_kubo: MakeKubo, browser: Browser
) -> None:
    """A Kubo that knows nothing but the shop's address as a router finds name, provider and pages by itself."""
    settings = {
        "Routing.Type": "delegated",
        "Routing.DelegatedRouters": [plain_shop.web.shop_url],
        "Provide.Enabled": False,
    }
    kubo = await asyncio.to_thread(lambda: make_kubo(settings).start())
    name = plain_shop.node.naming.name
    async with watched(browser, kubo.gateway) as (page, troubles):
        await page.goto(f"{kubo.gateway}/ipns/{name}/fr/index.html")
        await expect(page.locator(".tile")).to_have_count(5)
    assert troubles == []
    port = kubo.gateway.rpartition(":")[2]
    origin = f"http://{plain_shop.site}.ipfs.localhost:{port}"
    async with watched(browser, origin) as (page, troubles):
        await page.goto(f"{origin}/")
        await page.get_by_role("link", name="Chemise en lin bleue").click()
        assert page.url == f"{origin}/fr/{SHIRT}"
        await expect(page.get_by_role("link", name="Commander avec mon client Halle")).to_be_visible()
    assert troubles == []
    await asyncio.to_thread(kubo.stop)


class Quiet(SimpleHTTPRequestHandler):
    """A plain web host."""

    def log_message(self, *_: object) -> None:
        return None


async def test_exported_shop_works_on_a_plain_web_host_below_a_path(
    plain_shop: ShopNode, browser: Browser, tmp_path: Path
) -> None:
    folder = tmp_path / "www" / "boutique"
    await plain_shop.node.catalog.export_site(folder, "https://atelier.example/boutique")
    host = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder.parent)))
    thread = Thread(target=host.serve_forever)
    thread.start()
    try:
        origin = f"http://127.0.0.1:{host.server_port}"
        async with watched(browser, origin) as (page, troubles):
            await page.goto(f"{origin}/boutique/en/search.html?q=chemise")
            await expect(page.locator(".tile")).to_have_count(1)
            await page.locator(".tile a").click()
            assert await page.locator("link[rel=canonical]").get_attribute("href") == (
                f"https://atelier.example/boutique/en/{SHIRT}"
            )
        assert troubles == []
    finally:
        await asyncio.to_thread(host.shutdown)
        host.server_close()
        thread.join()
