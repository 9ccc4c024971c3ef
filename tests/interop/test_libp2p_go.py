"""go-libp2p speaks Halle with us, dialling and dialled."""

from __future__ import annotations

import pytest

from interop import conversation
from interop.conftest import Starter, b64, fresh_head
from node.p2p.conftest import Peers


@pytest.mark.parametrize("they_dial", [True, False], ids=["dialling", "dialled"])
async def test_go_peer_speaks_halle(peers: Peers, foreign: Starter, they_dial: bool) -> None:
    theirs = await foreign("go")
    ours = await peers.start("ours", signed=True)
    await conversation.meet(ours, theirs, they_dial=they_dial)
    await conversation.talk(ours, theirs)


async def test_go_peer_reconciles_heads_as_asker_and_as_answerer(peers: Peers, foreign: Starter) -> None:
    theirs = await foreign("go")
    ours = await peers.start("ours", signed=True)
    await conversation.meet(ours, theirs, they_dial=True)
    mine, their, later = fresh_head(3), fresh_head(4), fresh_head(5)
    await ours.call("keep_hex", frame=mine.hex())
    await theirs.call("keep", data=b64(their))
    assert await theirs.call("sync", peer=ours.peer_id) == 1
    await theirs.event("synced", frame=b64(mine))
    await ours.event("head", hex=their.hex())
    await theirs.call("keep", data=b64(later))
    assert await ours.call("sync", peer=theirs.peer_id) == 1
    await ours.event("head", hex=later.hex())
