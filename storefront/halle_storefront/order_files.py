"""Files that came with an order, from somebody else: pictures are shown as pictures, all else is saved, never run."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from .node_access import node_of

SHOWN = frozenset({"image/webp", "image/png", "image/jpeg"})
SIGNATURES = {"image/webp": b"RIFF", "image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff"}


async def file_of(request: web.Request) -> web.Response:
    """Return one file of an order."""
    return file_response(await node_of(request).trade.file(request.match_info["key"], request.match_info["file"]))


def file_response(found: tuple[str, str, bytes]) -> web.Response:
    """Return a file (name, MIME type, bytes) so that a browser never takes it for a page of ours."""
    name, mime, data = found
    is_picture = mime in SHOWN and data.startswith(SIGNATURES[mime])
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if not is_picture:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name[:120], safe='')}"
    content_type = mime if is_picture else "application/octet-stream"
    return web.Response(body=data, content_type=content_type, headers=headers)
