"""Circuit relay v2 across implementations: our relay for them, their relay for us, our protocols over both."""

from __future__ import annotations

import hashlib

import pytest

from interop.conftest import Foreign, Starter, b64
from node.p2p.conftest import Peer, Peers
from node.p2p.test_relay import has_place

RELAYING = {"go": ("-relay",), "js": ()}


async def start_relay(foreign: Starter, kind: str) -> Foreign:
    relay: Foreign = await foreign(kind, *RELAYING[kind], **({"relay": True} if kind == "js" else {}))
    return relay


async def message_arrives(sender: Peer, receiver: Peer, addrs: list[str]) -> None:
    await sender.call("deliver", peer=receiver.peer_id, addrs=addrs, text="bonjour")
    await receiver.event("message", sha256=hashlib.sha256(b"bonjour").hexdigest(), peer=sender.peer_id)


@pytest.mark.parametrize("kind", ["go", "js"])
async def test_our_peers_meet_at_a_relay_of_others(peers: Peers, foreign: Starter, kind: str) -> None:
    relay = await start_relay(foreign, kind)
    shop = await peers.start("shop", relays=relay.addrs[:1])
    place = await has_place(shop)
    assert place.startswith(relay.addrs[0])
    buyer = await peers.start("buyer")
    await message_arrives(buyer, shop, [place])
    (route,) = [info["addr"] for info in await buyer.call("peers") if info["peer_id"] == shop.peer_id]
    assert route == place


async def test_go_peer_is_called_through_our_relay(peers: Peers, foreign: Starter) -> None:
    relay, buyer = await peers.start("relay", relay_service=True), await peers.start("buyer")
    theirs = await foreign("go")
    assert await theirs.call("reserve", addr=relay.addrs[0]) > 0
    place = f"{relay.addrs[0]}/p2p-circuit/p2p/{theirs.peer_id}"
    await buyer.call("deliver", peer=theirs.peer_id, addrs=[place], text="bonjour")
    await theirs.event("message", envelope=b64(b"bonjour"), peer=buyer.peer_id)


async def test_js_peer_is_called_through_our_relay(peers: Peers, foreign: Starter) -> None:
    relay, buyer = await peers.start("relay", relay_service=True), await peers.start("buyer")
    theirs = await foreign("js", reserve=relay.addrs)
    place = f"{relay.addrs[0]}/p2p-circuit/p2p/{theirs.peer_id}"
    await buyer.call("deliver", peer=theirs.peer_id, addrs=[place], text="bonjour")
    await theirs.event("message", envelope=b64(b"bonjour"), peer=buyer.peer_id)


@pytest.mark.parametrize("kind", ["go", "js"])
async def test_peer_of_others_calls_us_through_our_relay(peers: Peers, foreign: Starter, kind: str) -> None:
    relay = await peers.start("relay", relay_service=True)
    shop = await peers.start("shop", relays=relay.addrs)
    place = await has_place(shop)
    (cid,) = await shop.call("put_hex", blocks=[b"behind a router".hex()])
    theirs = await foreign(kind)
    assert await theirs.call("connect", addr=place) == shop.peer_id
    found = await theirs.call("fetch", peer=shop.peer_id, cids=[cid])
    assert found == {cid: b64(b"behind a router")}
    assert (await theirs.call("deliver", peer=shop.peer_id, data=b64(b"merci")))["ok"] is True
