"""Stalls to look at, and clients for both listeners."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession, CookieJar, web
from aiohttp.test_utils import TestServer

sys.path.insert(0, str(Path(__file__).parent))

from stall import Stall, fill, make_stall

from halle_storefront.app import make_apps
from halle_storefront.security import SESSION_COOKIE, Doorkeeper


@pytest.fixture
async def stall(tmp_path: Path) -> AsyncIterator[Stall]:
    """A stall with products, orders and reviews."""
    made = await fill(make_stall(tmp_path), photos=False)
    yield made
    await made.close()


@dataclass
class Faces:
    """Both listeners of a stall, and a person with or without a session."""

    stall: Stall
    keeper: Doorkeeper
    local_app: web.Application
    shop_app: web.Application
    local: TestServer
    shop: TestServer
    owner: ClientSession
    stranger: ClientSession

    def url(self, side: str, path: str) -> str:
        server = self.shop if side == "shop" else self.local
        return f"http://127.0.0.1:{server.port}{path}"

    def origin(self, side: str = "local") -> dict[str, str]:
        return {"Origin": self.url(side, "")}

    async def get(self, path: str, side: str = "local") -> tuple[int, str]:
        async with self.owner.get(self.url(side, path), allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, **fields: object) -> tuple[int, str, str]:
        url = self.url("local", path)
        async with self.owner.post(
            url,
            data=[(k, v) for k, vs in fields.items() for v in (vs if isinstance(vs, list) else [vs])],
            headers=self.origin(),
            allow_redirects=False,
        ) as answer:
            return answer.status, await answer.text(), answer.headers.get("Location", "")


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


def fill_path(path: str, store: str) -> str:
    """An address for a route pattern."""
    known = {
        "lang": "fr",
        "store": store,
        "handle": "chemise-bleue",
        "key": "a1" * 16,
        "action": "ship",
        "tag": "x",
        "name": "halle.css",
    }
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: known.get(found[1], "1"), path)
