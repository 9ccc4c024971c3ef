"""Meets a file-size limit while storing; prints the error code and what is left on disk."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from halle_node.blocks import BlockStore
from halle_protocol.cid import RAW, cid_of
from halle_protocol.errors import HalleError

root = Path(sys.argv[1])
store = BlockStore(root)
small, large = b"small" * 100, bytes(3_000_000)
store.put(cid_of(RAW, small), small)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    store.put_many([(cid_of(RAW, b"first"), b"first"), (cid_of(RAW, large), large)])
    code = "stored"
except HalleError as exc:
    code = exc.code
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(
    json.dumps(
        {
            "code": code,
            "kept": store.get(cid_of(RAW, small)) == small,
            "first": store.has(cid_of(RAW, b"first")),
            "large": store.has(cid_of(RAW, large)),
            "leftovers": [str(p) for p in (root / "tmp").iterdir()] + [p.name for p in root.glob("blocks/??/??/*")],
        }
    )
)
