"""A node started for one command: its services and local API, without network and chain."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from halle_node.config import Config


@contextmanager
def offline_node(config: Config) -> Iterator[tuple[str, str]]:
    """Yield (local URL, token) of a node that serves this command alone.

    Raises: what opening the home raises (locked, damaged, full disk).
    """
    served = _Served(config)
    thread = threading.Thread(target=served.run, name="halle-node", daemon=True)
    try:
        thread.start()
        served.ready.wait()
        if served.error is not None:
            raise served.error
        yield served.local_url, served.token
    finally:
        served.stop()
        thread.join()


class _Served:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.ready = threading.Event()
        self.local_url = ""
        self.token = ""
        self.error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Event | None = None
        self._unwanted = False

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            # Carried over to the thread that waits, which raises it: nothing is swallowed.
            self.error = error
        finally:
            self.ready.set()

    def stop(self) -> None:
        """End at any time, also before the node is up."""
        self._unwanted = True
        if self._loop is not None and self._done is not None:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._done.set)

    async def _serve(self) -> None:
        from halle_node.node import Node
        from halle_storefront.app import start_web
        from halle_storefront.mail import MailWriter
        from halle_storefront.site import StaticShop

        self._done, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if self._unwanted:
            self._done.set()
        config = self.config.model_copy(update={"local_port": 0, "shop_port": 0})
        async with Node(config, online=False, site_renderer=StaticShop(), mail_writer=MailWriter()) as node:
            web = await start_web(node)
            try:
                self.local_url, self.token = web.local_url, web.token
                self.ready.set()
                await self._done.wait()
            finally:
                await web.close()
