"""A shop with a catalog of its own and the duty that keeps a daemon in step with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halle_node.blocks.kubo import KuboPublisher, KuboStatus, Source, make_publisher
from halle_node.catalog.naming import Naming
from halle_node.catalog.report import Published
from halle_protocol.head import Head
from node.catalog.shop import Shop, open_shop, picture, shirt

WAIT_S = 30


@dataclass
class KuboShop:
    shop: Shop
    naming: Naming
    publisher: KuboPublisher

    @property
    def prefix(self) -> str:
        """Return how the names of this shop's pins begin."""
        return f"halle:0x{self.shop.keys.store_address.hex()}:"

    async def offer(self, handle: str, **changes: Any) -> Published:
        """Publish one more product with a picture, or change one."""
        await self.shop.catalog.save_product(shirt(handle, **changes))
        if not self.shop.catalog.product(handle).photos:
            await self.shop.catalog.add_photo(handle, "shirt.jpg", picture(320, 240, quality=95))
        published = await self.shop.catalog.publish()
        self.publisher.nudge()
        return published

    async def kept(self, published: Published) -> KuboStatus:
        """Wait until the daemon keeps what was published."""
        return await self.reaches(lambda status: status.state == "ok" and status.seq == published.head.seq)

    async def failed(self, code: str) -> KuboStatus:
        """Wait for an attempt that ends with this error."""
        return await self.reaches(lambda status: status.trouble is not None and status.trouble.code == code)

    async def reaches(self, done: Callable[[KuboStatus], bool]) -> KuboStatus:
        try:
            async with asyncio.timeout(WAIT_S):
                return await self.publisher.settled(done)
        except TimeoutError:
            raise AssertionError(f"it stays at {self.publisher.status()}") from None


@asynccontextmanager
async def kubo_shop(home: Path, api: str, **settings: Any) -> AsyncIterator[KuboShop]:
    """A shop whose daemon is at `api`; the duty runs until the end."""
    async with open_shop(home) as shop:
        naming = Naming(shop.db, shop.keys.peer_private, shop.clock)
        config = shop.config.model_copy(update={"kubo_api": api, "kubo_timeout_s": 20, **settings})

        def head() -> Head | None:
            published = shop.catalog.current_head()
            return None if published is None else published.head

        source = Source(shop.blocks, shop.keys.store_address, head, naming.point_to, shop.clock)
        publisher = make_publisher(config, source)
        duty = asyncio.create_task(publisher.run())
        try:
            yield KuboShop(shop, naming, publisher)
        finally:
            duty.cancel()
            await asyncio.wait({duty})
            await publisher.close()
