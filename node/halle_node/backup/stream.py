"""A file that only its store's phrase opens: sealed key, then chunks whose order, number and end are authenticated.

Rule: what `SealedReader` has returned to its end is exactly what `SealedWriter` was given; anything else raises.
Spec: docs/spec/16-recovery.md §2
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from halle_protocol import dagcbor
from halle_protocol.errors import ProtocolError, Refused
from halle_protocol.sealing import HYBRID, Prekey, seal, unseal
from halle_protocol.wire import decode_map, expect_keys, take_bytes, take_int, take_text

TYPE = "halle/backup/1"
MAGIC = b"halle-backup/1\n"
MAX_HEADER_BYTES = 16 * 1024
CHUNK_BYTES = 256 * 1024
TAG_BYTES = 16
KEY_BYTES = 32


@dataclass(frozen=True)
class Header:
    """Whose back-up this is and when it was made; `sealed` is the file's key, which the phrase's key opens."""

    store: bytes
    made: int
    prekey_id: str
    sealed: bytes

    def encode(self) -> bytes:
        """Return the file's first bytes."""
        fields = {"type": TYPE, "store": self.store, "made": self.made, "prekey": self.prekey_id, "key": self.sealed}
        body = dagcbor.encode(fields)
        return MAGIC + len(body).to_bytes(4, "big") + body


def make_header(key: bytes, prekey: Prekey, store: bytes, made: int) -> Header:
    """Return the header of a file under `key`, 32 random bytes used for nothing else."""
    return Header(store, made, prekey.id, seal(key, prekey, _info(store, made)))


def read_header(file: BinaryIO) -> Header:
    """Return the header of an open back-up.

    Raises: Refused not-a-backup.
    """
    start = file.read(len(MAGIC) + 4)
    size = int.from_bytes(start[len(MAGIC) :], "big")
    if start[: len(MAGIC)] != MAGIC or size > MAX_HEADER_BYTES:
        raise _not_a_backup()
    try:
        value = decode_map(file.read(size), kind="backup", max_bytes=MAX_HEADER_BYTES)
        expect_keys(value, frozenset(("type", "store", "made", "prekey", "key")), kind="backup")
        sealed = value["key"]
        if value["type"] != TYPE or type(sealed) is not bytes:
            raise _not_a_backup()
        store = take_bytes(value, "store", 20, kind="backup")
        prekey_id = take_text(value, "prekey", kind="backup", max_chars=64)
        return Header(store, take_int(value, "made", kind="backup"), prekey_id, sealed)
    except ProtocolError as error:
        raise _not_a_backup() from error


def open_key(header: Header, private: bytes) -> bytes:
    """Return the file's key.

    Raises: Refused backup-phrase.
    """
    try:
        return unseal(header.sealed, private, HYBRID, _info(header.store, header.made))
    except ProtocolError as error:
        raise Refused(
            "This phrase does not open this back-up.",
            code="backup-phrase",
            hint="Give the phrase of the store that made it.",
        ) from error


class SealedWriter(io.RawIOBase):
    """Encrypts what is written to it; `finish` writes the last chunk, without which no reader is content."""

    def __init__(self, file: BinaryIO, key: bytes, header: Header) -> None:
        super().__init__()
        self._file, self._box = file, _box(key, header)
        self._waiting = bytearray()
        self._place = 0
        file.write(header.encode())

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._waiting += data
        while len(self._waiting) > CHUNK_BYTES:
            self._put(bytes(self._waiting[:CHUNK_BYTES]), last=False)
            del self._waiting[:CHUNK_BYTES]
        return len(data)

    def finish(self) -> None:
        """Write what is left as the last chunk."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._box.encrypt(_nonce(self._place, last), chunk, None))
        self._place += 1


class SealedReader(io.RawIOBase):
    """Decrypts a file whose header was read.

    Raises: Refused backup-damaged for a byte that differs, a chunk out of place, a file cut short or too long.
    """

    def __init__(self, file: BinaryIO, key: bytes, header: Header) -> None:
        super().__init__()
        self._file, self._box = file, _box(key, header)
        self._ahead = file.read(CHUNK_BYTES + TAG_BYTES)
        self._clear = b""
        self._place = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        parts, left = [], size if size >= 0 else -1
        while left and (self._clear or self._ahead):
            if not self._clear:
                self._take()
            part = self._clear if left < 0 else self._clear[:left]
            self._clear = self._clear[len(part) :]
            left -= len(part) if left > 0 else 0
            parts.append(part)
        return b"".join(parts)

    def _take(self) -> None:
        chunk, self._ahead = self._ahead, self._file.read(CHUNK_BYTES + TAG_BYTES)
        try:
            self._clear = self._box.decrypt(_nonce(self._place, not self._ahead), chunk, None)
        except InvalidTag as error:
            raise damaged() from error
        self._place += 1


def damaged() -> Refused:
    """Return the error for a file that is not as it was written."""
    return Refused(
        "The back-up is damaged or was cut short; nothing of it was used.",
        code="backup-damaged",
        hint="Use another copy of it, or restore from the phrase alone: halle restore",
    )


def _not_a_backup() -> Refused:
    return Refused(
        "That file is no back-up of a Halle store.", code="not-a-backup", hint="halle backup FILE makes one."
    )


def _info(store: bytes, made: int) -> bytes:
    return TYPE.encode() + b"\0" + store + made.to_bytes(8, "big")


def _box(key: bytes, header: Header) -> ChaCha20Poly1305:
    salt = hashlib.sha256(header.encode()).digest()
    return ChaCha20Poly1305(HKDF(SHA256(), KEY_BYTES, salt, TYPE.encode()).derive(key))


def _nonce(place: int, last: bool) -> bytes:
    return place.to_bytes(11, "big") + bytes([last])
