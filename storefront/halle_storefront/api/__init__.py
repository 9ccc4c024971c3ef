"""The first corner of /api/v1: what a program needs to know a shop; errors are RFC 9457 problem bodies."""

from __future__ import annotations

from aiohttp import web

from halle_protocol.keys import to_checksum

from ..node_access import node_of
from . import owner


def public_routes() -> list[web.AbstractRouteDef]:
    return [web.get("/api/v1/store", store)]


def local_routes() -> list[web.AbstractRouteDef]:
    return [web.get("/api/v1/store", store), *owner.routes()]


async def store(request: web.Request) -> web.Response:
    """Who sells here, and the root of what is sold."""
    node = node_of(request)
    head, profile = node.catalog.current_head(), node.catalog.profile()
    return web.json_response(
        {
            "store": to_checksum(node.keys.store_address),
            "name": profile.name,
            "country": profile.country,
            "currency": profile.currency,
            "catalog": str(head.catalog_root) if head else None,
            "seq": head.head.seq if head else None,
            "peer_id": node.network.peer_id,
            "addrs": list(node.network.addrs),
        }
    )
