"""What a Halle peer in any language must do with ours, each step in both directions."""

from __future__ import annotations

import hashlib

import pytest

from interop.conftest import Foreign, b64, fresh_head
from node.p2p.conftest import FarError, Peer

ENVELOPE = bytes(range(256)) * 40
BLOCK = hashlib.shake_256(b"block").digest(1_500_000)


async def meet(ours: Peer, theirs: Foreign, *, they_dial: bool) -> None:
    """Connect the two and wait until both know it."""
    if they_dial:
        assert await theirs.call("connect", addr=ours.addrs[0]) == ours.peer_id
    else:
        assert await ours.call("connect", addr=theirs.addrs[0]) == theirs.peer_id
    await ours.connected_to(theirs)


async def talk(ours: Peer, theirs: Foreign) -> None:
    """Use every protocol, as the one who asks and as the one who answers."""
    await _identify_and_ping(ours, theirs)
    await _exchange_heads(ours, theirs)
    await _exchange_blocks(ours, theirs)
    await _exchange_messages(ours, theirs)


async def _identify_and_ping(ours: Peer, theirs: Foreign) -> None:
    async def identified() -> bool:
        try:
            return bool((await theirs.call("identified", peer=ours.peer_id))["protocols"])
        except FarError:
            return False

    await theirs.until(identified)
    spoken = (await theirs.call("identified", peer=ours.peer_id))["protocols"]
    assert {"/halle/blocks/1", "/halle/message/1", "/halle/sync/1", "/ipfs/ping/1.0.0"} <= set(spoken)
    assert await theirs.call("ping", peer=ours.peer_id) >= 0


async def _exchange_heads(ours: Peer, theirs: Foreign) -> None:
    await theirs.hears()
    mine, their = fresh_head(1), fresh_head(2)
    await ours.call("announce_hex", frame=mine.hex())
    await theirs.event("head", frame=b64(mine))
    await theirs.call("announce", data=b64(their))
    assert (await ours.event("head", hex=their.hex()))["peer"] == theirs.peer_id


async def _exchange_blocks(ours: Peer, theirs: Foreign) -> None:
    (large,) = await theirs.call("put", blocks=[b64(BLOCK)])
    (small,) = await ours.call("put_hex", blocks=[b"a block of ours".hex()])
    assert await ours.call("fetch", peer=theirs.peer_id, addrs=[], cids=[large, small]) == [large]
    found = await theirs.call("fetch", peer=ours.peer_id, cids=[small, large])
    assert found == {small: b64(b"a block of ours")}


async def _exchange_messages(ours: Peer, theirs: Foreign) -> None:
    await ours.call("deliver_hex", peer=theirs.peer_id, addrs=[], envelope=ENVELOPE.hex())
    await theirs.event("message", envelope=b64(ENVELOPE), peer=ours.peer_id)
    answer = await theirs.call("deliver", peer=ours.peer_id, data=b64(ENVELOPE))
    assert answer["ok"] is True
    await ours.event("message", sha256=hashlib.sha256(ENVELOPE).hexdigest(), peer=theirs.peer_id)
    await theirs.call("refuse", code="stall-closed")
    with pytest.raises(FarError) as refusal:
        await ours.call("deliver_hex", peer=theirs.peer_id, addrs=[], envelope=ENVELOPE.hex())
    assert (refusal.value.code, refusal.value.kind) == ("stall-closed", "Refused")
    await ours.call("on_message", do="refuse")
    refused = await theirs.call("deliver", peer=ours.peer_id, data=b64(b"for a closed stall"))
    assert (refused["ok"], refused["code"]) == (False, "stall-closed")
