"""Both listeners of a stall as a client meets them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from stall import Stall

from halle_storefront.security import Doorkeeper


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
