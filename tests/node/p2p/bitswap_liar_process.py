"""A bitswap peer that answers every want-list with what was not asked: python bitswap_liar_process.py LIE

Prints its address. LIE is wrong (other bytes), huge (the right bytes are too many), silent, garbage (no protobuf)
or crumbs (two million empty blocks).
`huge` serves 3 MiB of zeros under their true name.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from typing import Any

import multiaddr
import trio
from libp2p import new_host
from libp2p.bitswap.pb.bitswap_pb2 import Message
from libp2p.crypto.ed25519 import create_new_key_pair

PROTOCOL = "/ipfs/bitswap/1.2.0"
PREFIX = b"\x01\x55\x12\x20"


def framed(payload: bytes) -> bytes:
    size, out = len(payload), bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out) + payload


def lie(kind: str) -> bytes:
    message = Message()
    if kind == "garbage":
        return framed(b"\xff" * 100)
    if kind == "crumbs":
        return framed(b"\x1a\x00" * (2 * 1024 * 1024 - 1))
    data = bytes(3 * 1024 * 1024) if kind == "huge" else os.urandom(1000)
    for _ in range(1 if kind == "huge" else 50):
        message.payload.add(prefix=PREFIX, data=data)
    return framed(message.SerializeToString())


async def main(kind: str) -> None:
    host = new_host(key_pair=create_new_key_pair(hashlib.sha256(kind.encode()).digest()))

    async def handle(stream: Any) -> None:
        await stream.read(1)
        if kind != "silent":
            out = await host.new_stream(stream.muxed_conn.peer_id, [PROTOCOL])
            await out.write(lie(kind))
            await out.close()
        await trio.sleep_forever()

    host.set_stream_handler(PROTOCOL, handle)
    async with host.run(listen_addrs=[multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        print(host.get_addrs()[0], flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        os._exit(0)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    trio.run(main, sys.argv[1])
