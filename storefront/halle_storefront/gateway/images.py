"""Hand out pictures by CID to our own pages; nothing else is shown from this origin whatever its CID."""

from __future__ import annotations

from aiohttp import web

from halle_protocol.cid import CID
from halle_protocol.errors import HalleError

from ..failures import not_found
from ..node_access import node_of
from ..security import PHOTO_MAX_BYTES

SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"RIFF", "image/webp"),
)
IMAGE_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # An image has nothing to load and nothing to run, whatever its bytes pretend to be.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
}


async def image(request: web.Request) -> web.Response:
    """The image under a CID, fetched from its store if need be; its type comes from its bytes, not its publisher."""
    text = request.match_info["cid"]
    etag = f'"{text[:128]}"'
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={**IMAGE_HEADERS, "ETag": etag})
    try:
        data = await node_of(request).index.media(CID.parse(text), max_bytes=PHOTO_MAX_BYTES)
    except HalleError as exc:
        raise not_found() from exc
    mime = image_type(data)
    if mime is None:
        raise not_found()
    return web.Response(body=data, content_type=mime, headers={**IMAGE_HEADERS, "ETag": etag})


def image_type(data: bytes) -> str | None:
    for signature, mime in SIGNATURES:
        if data.startswith(signature) and (mime != "image/webp" or data[8:12] == b"WEBP"):
            return mime
    return None
