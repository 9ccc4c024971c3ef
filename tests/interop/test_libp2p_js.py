"""js-libp2p speaks Halle with us, dialling and dialled."""

from __future__ import annotations

import pytest

from interop import conversation
from interop.conftest import Starter
from node.p2p.conftest import Peers


@pytest.mark.parametrize("they_dial", [True, False], ids=["dialling", "dialled"])
async def test_js_peer_speaks_halle(peers: Peers, foreign: Starter, they_dial: bool) -> None:
    theirs = await foreign("js")
    ours = await peers.start("ours", signed=True)
    await conversation.meet(ours, theirs, they_dial=they_dial)
    await conversation.talk(ours, theirs)
