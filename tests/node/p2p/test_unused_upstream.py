"""Why parts of py-libp2p are not used (docs/network.md): each defect, seen in the version that is installed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("unused_process.py")


@pytest.mark.parametrize(
    "part", ["autonat_calls_a_closed_port_reachable", "relay_mixes_circuits", "kademlia_dials_for_a_liar"]
)
async def test_upstream_still_has_the_defect(part: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), part, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    out, _ = await process.communicate()
    assert out.decode().split() == ["unsound"], "upstream may have mended it: docs/network.md says what for"
