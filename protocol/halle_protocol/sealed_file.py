"""Files too large for a message: encrypted raw blocks that anybody may carry and only the key opens.

Spec: docs/spec/08-messages.md §4
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from halle_protocol.cid import CID, RAW, cid_of
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.message_bodies import MAX_SEALED_BLOCKS, SEALED_BLOCK_BYTES, SealedFile

TAG_BYTES = 16
CHUNK_BYTES = SEALED_BLOCK_BYTES - TAG_BYTES
MAX_FILE_BYTES = CHUNK_BYTES * MAX_SEALED_BLOCKS


def seal_file(name: str, mime: str, data: bytes, key: bytes) -> tuple[SealedFile, list[tuple[CID, bytes]]]:
    """Return the file's card and its blocks. `key` is 32 random bytes used for this file only.

    Raises: LocalProtocolError `file-too-large`.
    """
    if len(data) > MAX_FILE_BYTES:
        raise LocalProtocolError(
            f"A sealed file may have {MAX_FILE_BYTES} bytes.", code="file-too-large", hint="Send it in parts."
        )
    box = ChaCha20Poly1305(key)
    sealed = [box.encrypt(_nonce(place), chunk, None) for place, chunk in enumerate(_chunks(data))]
    blocks = [(cid_of(RAW, block), block) for block in sealed]
    card = SealedFile(name=name, mime=mime, size_bytes=len(data), key=key, blocks=tuple(cid for cid, _ in blocks))
    return card, blocks


def open_file(card: SealedFile, get: Callable[[CID], bytes]) -> bytes:
    """Return the clear file; `get` returns a block that matches its CID.

    Raises: RemoteProtocolError `file-damaged`; what `get` raises.
    """
    box = ChaCha20Poly1305(card.key)
    try:
        data = b"".join(box.decrypt(_nonce(place), get(cid), None) for place, cid in enumerate(card.blocks))
    except InvalidTag as exc:
        raise _damaged() from exc
    if len(data) != card.size_bytes:
        raise _damaged()
    return data


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, max(len(data), 1), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def _nonce(place: int) -> bytes:
    return place.to_bytes(12, "big")


def _damaged() -> RemoteProtocolError:
    return RemoteProtocolError(
        "The key does not open this file.", code="file-damaged", hint="Ask the sender to send it again."
    )
