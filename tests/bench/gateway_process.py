"""A node without network and chain that offers one file on its shop's port, until its standard input ends.

gateway_process.py HOME FILE
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from halle_node.config import Config
from halle_node.keys import Keys
from halle_node.node import Node
from halle_protocol.unixfs import build_file
from halle_storefront import start_web


async def serve(home: Path, file: Path) -> None:
    Keys.create(home, scrypt_n=2)
    config = Config(home=home, local_port=0, shop_port=0, p2p_port=0, chain_port=0, scrypt_n=2)
    async with Node(config, online=False) as node:
        built = build_file(file.read_bytes())
        node.blocks.put_many(list(built.blocks.items()))
        node.blocks.pin("bench/file", built.root)
        web = await start_web(node)
        print(web.shop_url, built.root, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await web.close()


asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
