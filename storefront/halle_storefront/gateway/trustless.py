"""Blocks and CARs of what this node offers: checked by whoever asks, streamed, and never fetched for strangers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import suppress

from aiohttp import web

from halle_node.blocks import dag
from halle_node.blocks.dag import Block, Place
from halle_protocol.cid import CID, varint
from halle_protocol.errors import HalleError, Refused

from ..node_access import ServedNode, node_of
from . import asking
from .answers import CORS, Wrong, is_known
from .asking import CAR_TYPE, RAW_TYPE, CarForm, Content
from .budget import VISIT

log = logging.getLogger(__name__)

FOREVER = "public, max-age=31536000, immutable"
MAX_CAR_BLOCKS = 500_000
MAX_CAR_BYTES = 4 * 1024**3
BATCH_BYTES = 1024 * 1024


async def content(request: web.Request) -> web.StreamResponse:
    """GET /ipfs/{cid}[/path]: a block or a CAR."""
    found = asking.parse_content(request.match_info["cid"])
    form = asking.wanted(request)
    if form.mime not in (RAW_TYPE, CAR_TYPE):
        raise Wrong(406, "An IPNS record has its place below /ipns/.")
    path = asking.segments(request)
    headers = {**CORS, "Cache-Control": FOREVER, "Vary": "Accept", "X-Ipfs-Path": request.path}
    if not form.named:
        headers["Content-Location"] = asking.location(request, "raw" if form.mime == RAW_TYPE else "car")
    if form.mime == RAW_TYPE:
        if path:
            raise Wrong(400, "A single block is asked for by its own CID, without a path.")
        return await _raw(request, found, headers)
    return await _car(request, found, path, asking.car_form(request, form.parameters), headers)


async def _offered(request: web.Request, found: Content) -> CID:
    """The CID, when we give it away. Raises: Wrong 404, or 412 to who asked only for what is at hand."""
    if found.cid is not None and await node_of(request).offer.has(found.cid):
        return found.cid
    cached_only = "only-if-cached" in request.headers.get("Cache-Control", "")
    raise Wrong(412 if cached_only else 404, "This node does not offer that content.")


async def _raw(request: web.Request, found: Content, headers: dict[str, str]) -> web.Response:
    etag = f'"{found.text}.raw"'
    block = found.identity
    if block is None:
        cid = await _offered(request, found)
        block = await asyncio.to_thread(node_of(request).blocks.get, cid)
    headers |= {
        "Content-Type": RAW_TYPE,
        "Content-Disposition": asking.disposition(request, f"{found.text}.bin"),
        "Etag": etag,
        "Accept-Ranges": "bytes",
        "X-Ipfs-Roots": found.text,
    }
    if is_known(request, etag):
        return web.Response(status=304, headers=headers)
    visit = request[VISIT]
    part = _range(request, etag, len(block))
    if part is None:
        visit.spend(len(block))
        return web.Response(body=block, headers=headers)
    first, last = part
    if first > last:
        raise Wrong(416, "The block is shorter than that.", {"Content-Range": f"bytes */{len(block)}"})
    visit.spend(last - first + 1)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(block)}"
    return web.Response(status=206, body=block[first : last + 1], headers=headers)


def _range(request: web.Request, etag: str, size: int) -> tuple[int, int] | None:
    """The one range asked for, both ends included and first > last when there is none; None for all of it.

    Several ranges, and words that are no range, are answered with everything, as HTTP lets a server do.
    """
    found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", request.headers.get("Range", "").replace(" ", ""))
    if found is None or found.groups() == ("", "") or request.headers.get("If-Range", etag) != etag:
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size - 1 if int(found[2]) else -1
    first, last = int(found[1]), int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return None
    return first, min(last, size - 1)


async def _car(
    request: web.Request, found: Content, path: list[str], form: CarForm, headers: dict[str, str]
) -> web.StreamResponse:
    headers |= {
        "Content-Type": form.mime,
        "Content-Disposition": asking.disposition(request, f"{found.text}.car"),
        "Accept-Ranges": "none",
    }
    if found.identity is not None:
        return _identity_car(found, path, form, headers)
    cid = await _offered(request, found)
    place = await asyncio.to_thread(_resolve, node_of(request), cid, path)
    headers["Etag"] = f'W/"{form.tag}.{place.cid}.{cid}.car"'
    headers["X-Ipfs-Roots"] = ",".join(map(str, place.roots))
    if is_known(request, headers["Etag"]):
        return web.Response(status=304, headers=headers)
    if request.method == "HEAD":
        return web.Response(headers=headers)
    blocks = dag.walk(place, node_of(request).blocks.get, form.scope, form.part, repeats=form.repeats)
    return await _stream(request, headers, _car_of(found.binary, _bounded(blocks)))


def _resolve(node: ServedNode, cid: CID, path: list[str]) -> Place:
    """Find the end of the path and see that it is here, while a clear answer can still be given."""
    place = dag.resolve(cid, path, node.blocks.get)
    node.blocks.get(place.cid)
    return place


def _identity_car(found: Content, path: list[str], form: CarForm, headers: dict[str, str]) -> web.Response:
    """A CAR without blocks: the content is in the CID itself."""
    if path:
        raise Wrong(404, "There is nothing below an inline CID.")
    headers |= {"Etag": f'W/"{form.tag}.{found.text}.car"', "X-Ipfs-Roots": found.text}
    return web.Response(body=b"".join(_car_of(found.binary, iter(()))), headers=headers)


def _car_of(root: bytes, blocks: Iterator[Block]) -> Iterator[bytes]:
    """Yield a CARv1 whose names are spelled as the graph spells them: inline and version 0 CIDs too."""
    link = b"\0" + root
    size = bytes((0x58, len(link))) if len(link) > 23 else bytes((0x40 | len(link),))
    header = b"\xa2\x65roots\x81\xd8\x2a" + size + link + b"\x67version\x01"
    yield varint(len(header)) + header
    for cid, block in blocks:
        name = dag.spelled(cid)
        yield b"".join((varint(len(name) + len(block)), name, block))


def _bounded(blocks: Iterator[Block]) -> Iterator[Block]:
    """No answer is endless, whatever the graph."""
    total = 0
    for count, (cid, block) in enumerate(blocks):
        total += len(block)
        if count >= MAX_CAR_BLOCKS or total > MAX_CAR_BYTES:
            raise Refused("This CAR is over what one answer may hold.", code="car-too-large")
        yield cid, block


async def _stream(request: web.Request, headers: dict[str, str], pieces: Iterator[bytes]) -> web.StreamResponse:
    """Send piece by piece. What goes wrong now cuts the connection: a CAR that ended early must not look whole."""
    response = web.StreamResponse(headers=headers)
    visit = request[VISIT]
    await response.prepare(request)
    try:
        while batch := await asyncio.to_thread(_batch, pieces):
            async with asyncio.timeout(visit.stall_s):
                await response.write(batch)
            visit.spend(len(batch))
        await response.write_eof()
    except (HalleError, TimeoutError) as error:
        log.debug("a CAR for %s was cut: %s", request.remote, error)
        _cut(request)
    return response


def _batch(pieces: Iterator[bytes]) -> bytes:
    """Pieces of about a megabyte together, empty at the end: fewer turns between threads."""
    kept, size = [], 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size >= BATCH_BYTES:
            break
    return b"".join(kept)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        with suppress(OSError):
            request.transport.abort()
    raise ConnectionResetError("the answer could not be finished")
