"""Headless Chromium over a served stall."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright
from stall import Stall

from halle_storefront import WebAddresses, start_web
from requirements import CHROMIUM_FLAGS, require_chromium

SIZES = {"phone": (390, 844), "desk": (1280, 900)}
PAGES = {
    "admin-home": ("local", "/admin/"),
    "admin-products": ("local", "/admin/products"),
    "admin-product": ("local", "/admin/products/chemise-bleue"),
    "admin-new": ("local", "/admin/products/new"),
    "admin-import": ("local", "/admin/import"),
    "admin-orders": ("local", "/admin/orders"),
    "admin-order": ("local", "/admin/orders/" + "a1" * 16),
    "admin-returning": ("local", "/admin/orders/" + "18" * 16),
    "admin-roles": ("local", "/admin/roles"),
    "admin-case": ("local", "/admin/roles/cases/" + "29" * 16),
    "admin-messages": ("local", "/admin/messages"),
    "admin-talk": ("local", "/admin/messages/" + "5a" * 16),
    "admin-notices": ("local", "/admin/notices"),
    "market-messages": ("local", "/market/messages"),
    "market-talk": ("local", "/market/messages/" + "6b" * 16),
    "market-certificates": ("local", "/market/certificates"),
    "admin-network": ("local", "/admin/network"),
    "admin-kept": ("local", "/admin/network/kept"),
    "admin-waiting": ("local", "/admin/network/waiting"),
    "admin-settings": ("local", "/admin/settings"),
    "market-home": ("local", "/market/"),
    "market-product": ("local", "/market/p/{store}/chemise-bleue"),
    "market-stores": ("local", "/market/stores"),
    "market-store": ("local", "/market/s/{store}"),
    "market-cart": ("local", "/market/cart"),
    "market-checkout": ("local", "/market/checkout/0x" + "7a" * 20),
    "market-orders": ("local", "/market/orders"),
    "market-pay": ("local", "/market/orders/" + "e5" * 16),
    "market-altered": ("local", "/market/orders/" + "7c" * 16),
    "market-way": ("local", "/market/orders/" + "f6" * 16),
    "market-done": ("local", "/market/orders/" + "07" * 16),
    "market-wallet": ("local", "/market/wallet"),
    "shop-home": ("shop", "/"),
    "shop-product": ("shop", "/p/chemise-bleue"),
    "shop-status": ("shop", "/o/" + "a1" * 16),
    "shop-policy": ("shop", "/policies/returns"),
    "error": ("shop", "/p/nothing-here"),
}


async def serve_stall(stall: Stall) -> WebAddresses:
    return await start_web(stall)


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as play:
        browser = await play.chromium.launch(executable_path=require_chromium(), args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
