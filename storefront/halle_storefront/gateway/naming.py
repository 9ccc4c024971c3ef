"""The store's own IPNS record, as a gateway and as a router hand it out."""

from __future__ import annotations

import hashlib
from email.utils import formatdate

from aiohttp import web

from halle_node.catalog.naming import TTL_S, NameRecord
from halle_protocol import ipns
from halle_protocol.cid import LIBP2P_KEY

from ..node_access import node_of
from . import asking
from .answers import CORS, Wrong, is_known
from .asking import RECORD_TYPE


async def record(request: web.Request) -> web.Response:
    """GET /ipns/{name}: the signed record; what it points to is not unpacked here."""
    multihash = key_multihash(request.match_info["name"], bad=400)
    if asking.wanted(request).mime != RECORD_TYPE:
        raise Wrong(406, f"Ask for the record with ?format=ipns-record or Accept: {RECORD_TYPE}, then for its value.")
    if asking.segments(request):
        raise Wrong(400, "A record has no path behind it.")
    return _answer(request, multihash)


async def routed_record(request: web.Request) -> web.Response:
    """GET /routing/v1/ipns/{name}."""
    multihash = key_multihash(request.match_info["name"], bad=400)
    if RECORD_TYPE not in request.headers.get("Accept", ""):
        raise Wrong(406, f"Retry with Accept: {RECORD_TYPE}")
    return _answer(request, multihash)


def _answer(request: web.Request, multihash: bytes) -> web.Response:
    found = node_of(request).naming.current()
    if found is None or multihash != key_multihash(found.name, bad=500):
        raise Wrong(404, "This node has no record of that name.", {"Cache-Control": "public, max-age=60"})
    headers = _headers(request, found)
    if is_known(request, headers["Etag"]):
        return web.Response(status=304, headers=headers)
    return web.Response(body=found.record, headers=headers)


def _headers(request: web.Request, found: NameRecord) -> dict[str, str]:
    now = node_of(request).clock()
    left_s = max(0, found.expires_at - now)
    ttl_s = min(ipns.verify(found.record, found.name).ttl_s or TTL_S, left_s)
    return {
        **CORS,
        "Content-Type": RECORD_TYPE,
        "Content-Disposition": asking.disposition(request, f"{request.match_info['name']}.ipns-record"),
        "Cache-Control": f"public, max-age={ttl_s}, stale-while-revalidate={left_s}, stale-if-error={left_s}",
        "Expires": formatdate(now + left_s, usegmt=True),
        "Etag": f'"{hashlib.sha256(found.record).hexdigest()[:32]}"',
        "Vary": "Accept",
        "X-Ipfs-Path": request.path,
    }


def key_multihash(text: str, *, bad: int) -> bytes:
    """The multihash of a peer key: `12D3Koo…`, or a CID with codec libp2p-key. Raises: Wrong with status `bad`."""
    try:
        if text.startswith(("12", "16", "Qm")):
            multihash = asking.base58(text[: asking.MAX_NAME])
            if len(multihash) < 2 or multihash[1] != len(multihash) - 2:
                raise ValueError("multihash")
            return multihash
        binary = asking.decode_cid(text)
    except (ValueError, IndexError):  # binascii.Error is a ValueError
        raise Wrong(bad, "This is not the name of a key.") from None
    if binary[1] != LIBP2P_KEY:
        raise Wrong(bad, "This CID does not name a key.")
    return binary[2:]
