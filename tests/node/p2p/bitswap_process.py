"""A stock py-libp2p bitswap client: fetches blocks from a peer and prints their hashes.

python bitswap_process.py ADDR CID…
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys

import multiaddr
import trio
from libp2p import new_host
from libp2p.bitswap import BitswapClient, MemoryBlockStore
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.peerinfo import info_from_p2p_addr


async def main(addr: str, cids: list[str]) -> None:
    host = new_host(key_pair=create_new_key_pair(os.urandom(32)))
    server = info_from_p2p_addr(multiaddr.Multiaddr(addr))
    async with (
        host.run(listen_addrs=[multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]),
        trio.open_nursery() as nursery,
    ):
        client = BitswapClient(host, MemoryBlockStore())
        client.set_nursery(nursery)
        await client.start()
        await host.connect(server)
        for cid in cids:
            try:
                block = await client.new_session().get_block(cid, server.peer_id, 4)
                print(hashlib.sha256(block).hexdigest(), flush=True)
            except Exception as exc:
                print("none", type(exc).__name__, flush=True)
        os._exit(0)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    trio.run(main, sys.argv[1], sys.argv[2:])
