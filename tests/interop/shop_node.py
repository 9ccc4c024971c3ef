"""A whole shop on loopback, chain apart: catalog, static pages, gateway and libp2p host, as `halle up` puts them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from halle_node.config import Config
from halle_node.keys import Keys
from halle_node.node import Node
from halle_protocol.cid import CID
from halle_storefront import WebAddresses, start_web
from halle_storefront.site import StaticShop

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "storefront"))

from stall import fill


@dataclass
class ShopNode:
    node: Node
    web: WebAddresses

    @property
    def site(self) -> CID:
        """The root of the static shop."""
        head = self.node.catalog.current_head()
        assert head is not None
        assert head.head.site is not None
        return head.head.site


@asynccontextmanager
async def shop_node(home: Path, *, photos: bool = True) -> AsyncIterator[ShopNode]:
    """Open a shop with five products in `home`."""
    config = Config(home=home, name="Atelier", local_port=0, shop_port=0, p2p_port=0, chain_port=0, scrypt_n=2)
    Keys.create(home, scrypt_n=2)
    async with Node(config, online=False, site_renderer=StaticShop()) as node:
        await fill(node, photos=photos)
        await node.network.start()
        web = await start_web(node)
        try:
            yield ShopNode(node, web)
        finally:
            await web.close()
            await node.network.close()
