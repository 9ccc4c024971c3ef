"""The one door from a page to the node: what the faces use of it, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from .security import Doorkeeper

if TYPE_CHECKING:
    from halle_node.blocks import BlockStore
    from halle_node.catalog import CatalogService
    from halle_node.config import Config
    from halle_node.index import IndexService
    from halle_node.keys import Keys
    from halle_node.p2p import Network
    from halle_node.trade import TradeService


class ServedNode(Protocol):
    """A running node as the faces see it."""

    config: Config
    keys: Keys
    blocks: BlockStore
    network: Network
    chain: Any
    catalog: CatalogService
    index: IndexService
    trade: TradeService
    clock: Callable[[], int]


NODE: web.AppKey[ServedNode] = web.AppKey("node", ServedNode)  # type: ignore[type-abstract]


@dataclass
class ShopAddress:
    """Where the shop is seen from this machine; known once its listener is open."""

    url: str


SHOP_ADDRESS = web.AppKey("shop_address", ShopAddress)
DOORKEEPER = web.AppKey("doorkeeper", Doorkeeper)


def node_of(request: web.Request) -> ServedNode:
    return request.app[NODE]
