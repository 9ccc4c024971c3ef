"""Keep rendered public pages until what they show changes: a bounded LRU, keyed by catalog root, language, path."""

from __future__ import annotations

import gzip
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from aiohttp import web

MAX_PAGES = 4096
MAX_BYTES = 64 * 1024 * 1024
# Reviews and free stock change without a new catalog, so a page is never older than this.
FRESH_S = 5.0
# How long the catalog root that keys the pages may be remembered.
ROOT_FRESH_S = 0.5


@dataclass(frozen=True)
class CachedPage:
    body: bytes
    gzipped: bytes
    etag: str
    until: float


class PageCache:
    """Not thread-safe: it lives on one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._pages: OrderedDict[Hashable, CachedPage] = OrderedDict()
        self._bytes = 0
        self._clock = clock
        self._root: Hashable = None
        self._root_until = 0.0

    def root(self, read: Callable[[], Hashable]) -> Hashable:
        """The catalog root, read again when what is remembered is old."""
        now = self._clock()
        if now >= self._root_until:
            self._root, self._root_until = read(), now + ROOT_FRESH_S
        return self._root

    def __len__(self) -> int:
        return len(self._pages)

    def find(self, key: Hashable) -> CachedPage | None:
        page = self._pages.get(key)
        if page is None:
            return None
        if page.until < self._clock():
            self._drop(key)
            return None
        self._pages.move_to_end(key)
        return page

    def store(self, key: Hashable, text: str) -> CachedPage:
        body = text.encode()
        self._drop(key)
        page = CachedPage(
            body,
            gzip.compress(body, 5, mtime=0),
            f'"{hashlib.sha256(body).hexdigest()[:24]}"',
            self._clock() + FRESH_S,
        )
        self._pages[key] = page
        self._bytes += len(page.body) + len(page.gzipped)
        while len(self._pages) > MAX_PAGES or self._bytes > MAX_BYTES:
            self._drop(next(iter(self._pages)))
        return page

    def _drop(self, key: Hashable) -> None:
        page = self._pages.pop(key, None)
        if page is not None:
            self._bytes -= len(page.body) + len(page.gzipped)


CACHE = web.AppKey("page_cache", PageCache)


def send(request: web.Request, page: CachedPage) -> web.Response:
    """The page, or 304 when the reader has it already."""
    headers = {"ETag": page.etag, "Cache-Control": "public, max-age=5", "Vary": "Accept-Encoding"}
    if page.etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = "text/html; charset=utf-8"
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=page.gzipped, headers=headers)
    return web.Response(body=page.body, headers=headers)
