"""Serve our own static files under a name that holds their hash, so that browsers may keep them for ever."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain",
}


@dataclass(frozen=True)
class Asset:
    body: bytes
    gzipped: bytes
    content_type: str
    url: str


def load(folder: Path = STATIC) -> dict[str, Asset]:
    """Every static file by name."""
    assets = {}
    for path in sorted(folder.iterdir()):
        if path.suffix not in TYPES:
            continue
        body = path.read_bytes()
        tag = hashlib.sha256(body).hexdigest()[:12]
        assets[path.name] = Asset(
            body, gzip.compress(body, 9, mtime=0), TYPES[path.suffix], f"/static/{tag}/{path.name}"
        )
    return assets


ASSETS = load()


def static_url(name: str) -> str:
    return ASSETS[name].url


async def static(request: web.Request) -> web.Response:
    asset = ASSETS.get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=asset.gzipped, content_type=asset.content_type, charset="utf-8", headers=headers)
    return web.Response(body=asset.body, content_type=asset.content_type, charset="utf-8", headers=headers)


async def favicon(_request: web.Request) -> web.Response:
    asset = ASSETS["icon.svg"]
    return web.Response(
        body=asset.body, content_type=asset.content_type, headers={"Cache-Control": "public, max-age=86400"}
    )
