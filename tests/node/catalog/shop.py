"""A whole shop for tests: keys, database, blocks and catalog in one folder; and pictures made on the spot."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from halle_node.blocks import BlockStore
from halle_node.catalog import CatalogService, ProductForm, VariantForm
from halle_node.catalog.fetch import ImageFetcher
from halle_node.config import Config, load, paths
from halle_node.db import Database, open_database
from halle_node.keys import Keys
from halle_protocol.money import Money

NOW = 1_800_000_000


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Shop:
    """One node's shopkeeping."""

    config: Config
    keys: Keys
    db: Database
    blocks: BlockStore
    catalog: CatalogService
    clock: Clock


@asynccontextmanager
async def open_shop(home: Path, fetcher: ImageFetcher | None = None, phrase: str | None = None) -> AsyncIterator[Shop]:
    """A shop in `home`, closed afterwards."""
    config = load(home, {"name": "Chez Camille", "scrypt_n": 2}, {})
    clock = Clock()
    keys = Keys.open(home) if Keys.exist(home) else Keys.create(home, now=NOW, scrypt_n=2, phrase=phrase)[0]
    where = paths(config)
    db, blocks = open_database(where["database"]), BlockStore(where["blocks"])
    catalog = CatalogService(config, db, blocks, keys, clock, fetcher=fetcher)
    try:
        yield Shop(config, keys, db, blocks, catalog, clock)
    finally:
        await catalog.close()
        blocks.close()
        db.close()


def euros(cents: int) -> Money:
    """So many cents."""
    return Money(cents, "EUR")


def shirt(handle: str = "blue-shirt", cents: int = 2_500, **changes: object) -> ProductForm:
    """A product with one variant, ten on the shelf."""
    fields: dict[str, object] = {
        "title": "Blue shirt",
        "handle": handle,
        "description": "A shirt.",
        "variants": (VariantForm(price=euros(cents), on_hand=10),),
    }
    return ProductForm(**(fields | changes))  # type: ignore[arg-type]


def picture(width: int = 64, height: int = 48, kind: str = "JPEG", **choices: object) -> bytes:
    """A small picture file, red on the left and blue on the right."""
    image = Image.new("RGB", (width, height), (220, 20, 20))
    image.paste((20, 20, 220), (width // 2, 0, width, height))
    out = io.BytesIO()
    image.save(out, kind, **choices)  # type: ignore[arg-type]
    return out.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes and many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" * (width + 1)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
