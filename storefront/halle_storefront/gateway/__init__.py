"""The shop's port as a gateway: pictures for our own pages, and verifiable IPFS content for everybody's tools.

Pages, scripts or anything else that a browser would run are never shown by CID: a block or CAR is downloaded and
checked by whoever asked for it (IPFS trustless gateway): nothing a stranger published runs in the shop's origin.
Spec: docs/spec/13-gateway.md.
"""

from __future__ import annotations

from aiohttp import web

from ..node_access import NODE
from . import images, naming, routing, trustless
from .answers import answering, preflight
from .budget import VISITORS, Visitors

PREFIXES = ("/ipfs/", "/ipns/", "/routing/v1/")
"""Where any page of the web may ask: nothing below changes anything, and nothing knows who asks."""


def routes() -> list[web.AbstractRouteDef]:
    """What both listeners have."""
    return [web.get("/img/{cid}", images.image)]


def public_routes() -> list[web.AbstractRouteDef]:
    """What only the shop's listener has."""
    return [
        web.get("/ipfs/{cid}", answering(trustless.content)),
        web.get("/ipfs/{cid}/{path:.*}", answering(trustless.content)),
        web.get("/ipns/{name}", answering(naming.record)),
        web.get("/ipns/{name}/{path:.*}", answering(naming.record)),
        web.get("/routing/v1/providers/{cid}", answering(routing.providers)),
        web.get("/routing/v1/peers/{peer}", answering(routing.peers)),
        web.get("/routing/v1/ipns/{name}", answering(naming.routed_record)),
        *(web.options(prefix + "{rest:.*}", preflight) for prefix in PREFIXES),
        web.route("*", "/routing/v1/{rest:.*}", answering(routing.not_offered)),
    ]


def set_up(app: web.Application) -> None:
    """Give the app the budgets of its visitors."""
    app[VISITORS] = Visitors(upload=app[NODE].network.upload)
