"""What a shop publishes, made on the spot: a listing with its picture, a directory, a static shop, a catalog."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from halle_node.blocks import BlockStore
from halle_protocol import catalog, unixfs
from halle_protocol.cid import CID
from halle_protocol.unixfs import Built
from node.index.hall import Merchant

IMAGE_BYTES = 3_000_000


def noise(size: int, seed: str = "picture") -> bytes:
    """Bytes that do not compress and are the same in every run."""
    return hashlib.shake_256(seed.encode()).digest(size)


@dataclass
class Goods:
    """One shop's blocks and the names of its parts."""

    seed: str = "picture"
    blocks: dict[CID, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.image = noise(IMAGE_BYTES, self.seed)
        picture = unixfs.build_file(self.image)
        self.image_root = picture.root
        self.files = {f"file-{n}.txt": f"{self.seed} {n}\n".encode() * (n + 1) for n in range(40)}
        self.folder = unixfs.build_directory({name: unixfs.build_file(data) for name, data in self.files.items()})
        self.site = self._site(picture)
        self.merchant = Merchant(7)
        self.merchant.introduce(self.seed)
        self.listing = self.merchant.list("mug", "Tasse", media=[{"cid": picture.root}])
        self.merchant.frame()
        self.catalog = catalog.build(self.merchant.items).root
        for built in (picture, self.folder, self.site):
            self.blocks.update(built.blocks)
        self.blocks.update(self.merchant.blocks)

    def _site(self, picture: Built) -> Built:
        pages = {"index.html": unixfs.build_file(f"<h1>{self.seed}</h1>".encode())}
        pages["p"] = unixfs.build_directory(
            {f"{n}.html": unixfs.build_file(f"<p>{self.seed} {n}</p>".encode()) for n in range(30)}
        )
        pages["static"] = unixfs.build_directory({"mug.jpg": picture})
        return unixfs.build_directory(pages)

    def keep_in(self, store: BlockStore) -> None:
        """Have a block store hold everything."""
        store.put_many(list(self.blocks.items()))
