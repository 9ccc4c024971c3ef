"""Photos and files of an order: sealed blocks in our own store, named by a card inside a sealed message.

Rule: a photo is made anew from its pixels before it leaves; whoever lacks the blocks fetches them from the sender.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from halle_node.messages.route import Route
from halle_node.trade.room import Room
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.message_bodies import SealedFile
from halle_protocol.sealed_file import open_file, seal_file

KEY_BYTES = 32
MAX_PHOTOS = 8
PHOTO_MIME = "image/webp"


async def seal_photos(room: Room, photos: Sequence[bytes]) -> tuple[SealedFile, ...]:
    """Return the cards of photos, re-encoded, sealed and stored.

    Raises: Refused photos-too-many, image-….
    """
    if len(photos) > MAX_PHOTOS:
        raise Refused(f"At most {MAX_PHOTOS} photos.", code="photos-too-many", hint="Choose the clearest ones.")
    clean = [await room.catalog.clean_photo(data) for data in photos]
    return tuple(seal(room, f"photo {place}", PHOTO_MIME, data) for place, data in enumerate(clean, start=1))


def seal(room: Room, name: str, mime: str, data: bytes) -> SealedFile:
    """Return the card of a file whose sealed blocks are stored and kept.

    Raises: LocalProtocolError file-too-large.
    """
    card, blocks = seal_file(name, mime, data, secrets.token_bytes(KEY_BYTES))
    room.blocks.put_many(blocks)
    keep(room, card)
    return card


def keep(room: Room, card: SealedFile) -> None:
    """Protect a file's blocks from the clean-up."""
    for cid in card.blocks:
        room.blocks.pin(f"sealed/{cid}", cid)


async def read(room: Room, card: SealedFile, route: Route | None) -> bytes:
    """Return a clear file; what is not here is fetched from `route`.

    Raises: Unavailable block-missing, peer-…; RemoteProtocolError file-damaged.
    """
    missing = [cid for cid in card.blocks if not room.blocks.has(cid)]
    if missing:
        if route is None or room.fetch is None:
            raise Unavailable(
                "The file is not here.", code="block-missing", hint="Try again when its sender is online."
            )
        found = await room.fetch(route.peer_id, route.addrs, missing)
        room.blocks.put_many(list(found.items()))
        keep(room, card)
    return open_file(card, room.blocks.get)
