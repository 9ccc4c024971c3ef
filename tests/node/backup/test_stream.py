"""The sealed file: opens with the right phrase only, and every change, swap, cut and addition is noticed."""

from __future__ import annotations

import io
import secrets

import pytest

from halle_node.backup.stream import (
    CHUNK_BYTES,
    TAG_BYTES,
    SealedReader,
    SealedWriter,
    make_header,
    open_key,
    read_header,
)
from halle_node.keys import recovery_of
from halle_node.keys.phrase import new_phrase
from halle_protocol.errors import Refused

STORE = bytes(range(20))
PRIVATE, RECOVERY = recovery_of(new_phrase())
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)


def sealed(data: bytes) -> bytes:
    key, file = secrets.token_bytes(32), io.BytesIO()
    writer = SealedWriter(file, key, make_header(key, RECOVERY.prekey, STORE, 7))
    for start in range(0, len(data), 100_000):
        writer.write(data[start : start + 100_000])
    writer.finish()
    return file.getvalue()


def opened(data: bytes, private: bytes = PRIVATE) -> bytes:
    file = io.BytesIO(data)
    header = read_header(file)
    return SealedReader(file, open_key(header, private), header).read()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_is_read_whatever_its_length(size: int) -> None:
    data = secrets.token_bytes(size)
    assert opened(sealed(data)) == data


def test_reader_gives_exactly_as_much_as_was_asked() -> None:
    data = secrets.token_bytes(CHUNK_BYTES + 1_000)
    file = io.BytesIO(sealed(data))
    header = read_header(file)
    reader = SealedReader(file, open_key(header, PRIVATE), header)
    parts = [reader.read(777) for _ in range(len(data) // 777 + 1)]
    assert b"".join(parts) == data
    assert {len(part) for part in parts[:-1]} == {777}
    assert reader.read(1) == b""


def test_another_phrase_opens_nothing() -> None:
    with pytest.raises(Refused) as raised:
        opened(sealed(b"secret"), recovery_of(new_phrase())[0])
    assert raised.value.code == "backup-phrase"


def test_clear_words_are_not_in_the_file() -> None:
    assert b"rue des Tanneurs" not in sealed(b"12 rue des Tanneurs" * 50_000)


def _flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _body_of(data: bytes) -> int:
    file = io.BytesIO(data)
    read_header(file)
    return file.tell()


FRAME = CHUNK_BYTES + TAG_BYTES


@pytest.mark.parametrize(
    "harm",
    [
        lambda data, body: _flip(data, body),
        lambda data, body: _flip(data, len(data) - 1),
        lambda data, body: data[:-1],
        lambda data, body: data[:-FRAME],
        lambda data, body: data + b"\0",
        lambda data, body: data[:body] + data[body + FRAME :],
        lambda data, body: data[:body] + data[body + FRAME : body + 2 * FRAME] + data[body : body + FRAME],
        lambda data, body: data[:body] + data[body : body + FRAME] + data[body:],
    ],
    ids=[
        "first bit",
        "last bit",
        "cut by one",
        "last chunk gone",
        "one more",
        "first chunk gone",
        "swapped",
        "doubled",
    ],
)
def test_every_harm_to_the_file_is_noticed(harm) -> None:
    data = sealed(secrets.token_bytes(2 * CHUNK_BYTES + 2 * CHUNK_BYTES // 2))
    with pytest.raises(Refused) as raised:
        opened(harm(data, _body_of(data)))
    assert raised.value.code == "backup-damaged"


def test_header_cannot_be_lent_to_another_store() -> None:
    data = sealed(b"x")
    with pytest.raises(Refused) as raised:
        opened(data.replace(STORE, bytes(20)))
    assert raised.value.code in ("backup-phrase", "not-a-backup")


@pytest.mark.parametrize("data", [b"", b"halle-backup/1\n", b"PK\x03\x04" * 100, b"halle-backup/1\n" + b"\xff" * 400])
def test_other_files_are_no_backup(data: bytes) -> None:
    with pytest.raises(Refused) as raised:
        opened(data)
    assert raised.value.code == "not-a-backup"
