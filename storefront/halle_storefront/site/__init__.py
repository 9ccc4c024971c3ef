"""The shop as static pages: what the catalog says, rendered once, readable from any IPFS gateway or plain web host.

`StaticShop` is the renderer that a node is given; see `halle_node.catalog.site` for what it is asked.
"""

from __future__ import annotations

from .shop import StaticShop

__all__ = ["StaticShop"]
