"""/routing/v1, the reading side: who has a CID (we, or nobody we know), and where we are.

Spec: IPFS Delegated Routing V1 (IPIP-337, 484, 513).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from ..node_access import ServedNode, node_of
from .answers import CORS, Wrong
from .asking import parse_content
from .naming import key_multihash

FOUND_S, NOT_FOUND_S, STALE_S = 300, 15, 172_800
PROTOCOLS = ("transport-ipfs-gateway-http", "transport-bitswap")
NDJSON = "application/x-ndjson"


async def providers(request: web.Request) -> web.Response:
    """GET /routing/v1/providers/{cid}: this node, when it offers the block."""
    try:
        found = parse_content(request.match_info["cid"])
    except Wrong:
        raise Wrong(422, "This is not a CID.") from None
    has = found.cid is not None and await node_of(request).offer.has(found.cid)
    return _answer(request, "Providers", [own_record(request)] if has else [])


async def peers(request: web.Request) -> web.Response:
    """GET /routing/v1/peers/{peer}: this node alone."""
    multihash, node = key_multihash(request.match_info["peer"], bad=422), node_of(request)
    is_own = bool(node.network.peer_id) and multihash == key_multihash(node.network.peer_id, bad=500)
    return _answer(request, "Peers", [own_record(request)] if is_own else [])


async def not_offered(request: web.Request) -> web.Response:
    """Anything else of the API: this router is told nothing."""
    raise Wrong(501, "This router answers GET for providers, peers and ipns.")


def own_record(request: web.Request) -> dict[str, Any]:
    """How this node is reached: its gateway first, then its libp2p host."""
    node = node_of(request)
    base = node.config.shop_url.rstrip("/") or f"{request.scheme}://{request.host}"
    http = http_multiaddr(base)
    addrs = [*([http] if http else []), *(addr.partition("/p2p/")[0] for addr in _libp2p(node))]
    return {"Schema": "peer", "ID": node.network.peer_id, "Addrs": addrs, "Protocols": list(PROTOCOLS)}


def _libp2p(node: ServedNode) -> list[str]:
    return list(node.config.announce_addrs) or list(node.network.addrs)


def http_multiaddr(url: str) -> str:
    """`https://shop.example` as `/dns/shop.example/tcp/443/https`; empty for what has no such form."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError):
        return ""
    if not host or parts.path.strip("/"):
        return ""
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns"
    return f"/{kind}/{host}/tcp/{port}/{parts.scheme}"


def _answer(request: web.Request, key: str, records: list[dict[str, Any]]) -> web.Response:
    kept = [found for record in records if (found := filtered(request, record)) is not None]
    age_s = FOUND_S if kept else NOT_FOUND_S
    headers = {
        **CORS,
        "Cache-Control": f"public, max-age={age_s}, stale-while-revalidate={STALE_S}, stale-if-error={STALE_S}",
        "Vary": "Accept",
    }
    if NDJSON in request.headers.get("Accept", ""):
        lines = "".join(json.dumps(record) + "\n" for record in kept)
        return web.Response(body=lines.encode(), content_type=NDJSON, headers=headers)
    return web.json_response({key: kept}, headers=headers)


def filtered(request: web.Request, record: dict[str, Any]) -> dict[str, Any] | None:
    """The record as far as `filter-protocols` and `filter-addrs` want it; None when nothing is left."""
    protocols = _words(request.query.get("filter-protocols", ""))
    if protocols and not set(protocols) & set(record["Protocols"]):
        return None
    wanted = _words(request.query.get("filter-addrs", ""))
    if not wanted:
        return record
    unwanted = {word[1:] for word in wanted if word.startswith("!")}
    needed = {word for word in wanted if not word.startswith("!")} - {"unknown"}
    kept = [addr for addr in record["Addrs"] if _passes(set(addr.split("/")), needed, unwanted)]
    return {**record, "Addrs": kept} if kept else None


def _passes(names: set[str], needed: set[str], unwanted: set[str]) -> bool:
    return not names & unwanted and (not needed or bool(names & needed))


def _words(text: str) -> list[str]:
    return [word.strip().lower() for word in text.split(",")[:32] if word.strip()]
