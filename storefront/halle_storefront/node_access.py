"""The one door from a page to the node: what the faces use of it, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

from .security import Doorkeeper

if TYPE_CHECKING:
    from halle_node.access import AccessList
    from halle_node.backup import BackupService
    from halle_node.blocks import BlockStore, Sweep
    from halle_node.blocks.kubo import KuboPublisher
    from halle_node.blocks.offer import Offer
    from halle_node.catalog import CatalogService
    from halle_node.catalog.naming import Naming
    from halle_node.chain.chain import Chain
    from halle_node.config import Config
    from halle_node.doctor import Check
    from halle_node.index import IndexService
    from halle_node.keeping import Kept
    from halle_node.keys import Keys
    from halle_node.messages import Mailbox, MessageService
    from halle_node.node import Verified
    from halle_node.notify import NotifyService
    from halle_node.p2p import Network
    from halle_node.trade.service import TradeService


class ServedNode(Protocol):
    """A running node as the faces see it."""

    config: Config
    keys: Keys
    blocks: BlockStore
    backup: BackupService
    kubo: KuboPublisher
    offer: Offer
    naming: Naming
    network: Network
    chain: Chain
    catalog: CatalogService
    index: IndexService
    access: AccessList
    messages: MessageService
    mailbox: Mailbox
    trade: TradeService
    notify: NotifyService
    clock: Callable[[], int]

    async def doctor(self) -> list[Check]: ...

    async def verify_blocks(self) -> Verified: ...

    async def pins(self) -> list[Kept]: ...

    async def clean_up(self, *, apply: bool) -> Sweep: ...

    def metrics(self) -> bytes: ...


NODE: web.AppKey[ServedNode] = web.AppKey("node", ServedNode)


@dataclass
class ShopAddress:
    """Where the shop is seen from this machine; known once its listener is open."""

    url: str


SHOP_ADDRESS = web.AppKey("shop_address", ShopAddress)
DOORKEEPER = web.AppKey("doorkeeper", Doorkeeper)


def node_of(request: web.Request) -> ServedNode:
    return request.app[NODE]
