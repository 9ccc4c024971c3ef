"""Stores blocks for ever and prints each one's CID after the store acknowledged it. To be killed."""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path

from halle_node.blocks import BlockStore
from halle_protocol.cid import RAW, cid_of

store = BlockStore(Path(sys.argv[1]))
chance = random.Random(int(sys.argv[2]))
for _ in itertools.count():
    blocks = [chance.randbytes(chance.choice((500, 2_000, 70_000, 200_000))) for _ in range(3)]
    named = [(cid_of(RAW, block), block) for block in blocks]
    store.put_many(named)
    sys.stdout.write("".join(f"{cid}\n" for cid, _ in named))
    sys.stdout.flush()
