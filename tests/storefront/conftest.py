"""Stalls to look at, and clients for both listeners."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar
from aiohttp.test_utils import TestServer

sys.path.insert(0, str(Path(__file__).parent))

from faces import Faces
from stall import Stall, fill, make_stall

from halle_storefront.app import make_apps
from halle_storefront.security import SESSION_COOKIE, Doorkeeper


@pytest.fixture
async def stall(tmp_path: Path) -> AsyncIterator[Stall]:
    """A stall with products, orders and reviews."""
    made = await fill(make_stall(tmp_path), photos=False)
    yield made
    await made.close()


@pytest.fixture
async def faces(stall: Stall) -> AsyncIterator[Faces]:
    keeper = Doorkeeper(stall.config.home)
    local_app, shop_app = make_apps(stall, keeper)
    async with TestServer(local_app, host="127.0.0.1") as local, TestServer(shop_app, host="127.0.0.1") as shop:
        session = keeper.redeem(keeper.new_link_token())
        jar = CookieJar(unsafe=True)
        jar.update_cookies({SESSION_COOKIE: session})
        async with ClientSession(cookie_jar=jar) as owner, ClientSession(cookie_jar=CookieJar(unsafe=True)) as stranger:
            yield Faces(stall, keeper, local_app, shop_app, local, shop, owner, stranger)
