"""The official conformance suite of IPFS gateways against ours, wherever its program is on the PATH.

Not every module proxy serves its Go module, so `make tools` cannot promise it and HALLE_REQUIRE does not ask for it:
`go install github.com/ipfs/gateway-conformance/cmd/gateway-conformance@latest`. Its requirements are tested in any
case, on content of our own, by tests/storefront/test_gateway.py.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest
from aiohttp.test_utils import TestServer

from halle_node.blocks import BlockStore
from halle_node.blocks.offer import Offer
from halle_node.config import Config
from halle_node.p2p.metering import UploadBudget
from halle_protocol.cid import CID, DAG_PB, PREFIXES
from halle_protocol.errors import ProtocolError
from halle_storefront.app import make_apps

PROGRAM = shutil.which("gateway-conformance") or ""
# Names are left out: a node serves the record of its own name, never those of the suite.
SPECS = "trustless-block-gateway,trustless-car-gateway,trustless-car-gateway-optional"

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="gateway-conformance is not on the PATH"),
    pytest.mark.timeout(300),
]


def _readable(path: Path) -> list[tuple[CID, bytes]]:
    """The blocks of the suite that a Halle node can hold: its own reader refuses codecs and hashes it does not know."""
    found = []
    with path.open("rb") as file:
        for number, section in enumerate(iter(lambda: file.read(_length(file)), b"")):
            if number == 0:  # the header
                continue
            if section.startswith(b"\x12\x20"):  # a CIDv0 is the bare hash of a dag-pb block
                section = PREFIXES[DAG_PB][:2] + section
            with suppress(ProtocolError):
                found.append((CID.from_bytes(section[:36]), section[36:]))
    return found


def _length(file: BinaryIO) -> int:
    number = shift = 0
    while byte := file.read(1):
        number |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    return number


async def _call(*words: str | Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode(errors="replace")


async def test_trustless_gateway_conforms(tmp_path: Path) -> None:
    status, told = await _call("extract-fixtures", "--directory", tmp_path, "--merged")
    assert status == 0, told
    fixtures = _readable(tmp_path / "fixtures.car")
    blocks = BlockStore(tmp_path / "blocks")
    blocks.put_many(fixtures)
    names = [cid for cid, _ in fixtures]
    node = SimpleNamespace(
        config=Config(home=tmp_path, shop_port=0),
        blocks=blocks,
        offer=Offer(blocks, lambda: names),
        naming=SimpleNamespace(current=lambda: None),
        network=SimpleNamespace(upload=UploadBudget(0)),
    )
    _, shop = make_apps(node)
    report = tmp_path / "report.json"
    async with TestServer(shop, host="127.0.0.1") as server:
        url = f"http://127.0.0.1:{server.port}"
        status, told = await _call("test", "--gateway-url", url, "--specs", SPECS, "--json-output", report)
    blocks.close()
    score = {"pass": 0, "fail": 0, "skip": 0}
    for line in report.read_text().splitlines():
        event = json.loads(line)
        if event.get("Action") in score and event.get("Test"):
            score[event["Action"]] += 1
    print(f"\ngateway-conformance: {score}")
    assert (status, score["fail"]) == (0, 0), told[-4_000:]
    assert score["pass"] > 50
