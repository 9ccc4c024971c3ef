"""Circuit relay v2: who cannot be dialled is reached through a relay, and the relay stays within its limits."""

from __future__ import annotations

import hashlib

import pytest

from node.p2p.conftest import Peer, Peers


async def has_place(peer: Peer) -> str:
    """Wait until a relay keeps a place; return the circuit address."""

    async def check() -> bool:
        return bool([addr for addr in (await peer.call("about"))["addrs"] if "/p2p-circuit/" in addr])

    await peer.until(check)
    return next(str(addr) for addr in (await peer.call("about"))["addrs"] if "/p2p-circuit/" in addr)


async def route_to(peer: Peer, other: Peer) -> str:
    return next(str(info["addr"]) for info in await peer.call("peers") if info["peer_id"] == other.peer_id)


async def test_relay_carries_every_halle_protocol(peers: Peers) -> None:
    relay = await peers.start("relay", relay_service=True)
    shop = await peers.start("shop", relays=relay.addrs)
    buyer = await peers.start("buyer", peer_exchange=False)
    place = await has_place(shop)
    assert place == f"{relay.addrs[0]}/p2p-circuit/p2p/{shop.peer_id}"
    await shop.call("keep", frames=["head:1:old"])
    file = await shop.call("add_file", size=3_000_000)

    assert await buyer.call("connect", addr=place) == shop.peer_id
    assert await route_to(buyer, shop) == place
    assert await route_to(shop, buyer) == f"{relay.addrs[0]}/p2p-circuit/p2p/{buyer.peer_id}"
    await buyer.event("head", frame="head:1:old")
    assert await buyer.call("fetch_file", peer=shop.peer_id, addrs=[], root=file["root"]) == file["sha256"]
    await buyer.call("deliver", peer=shop.peer_id, addrs=[place], text="bonjour")
    await shop.event("message", sha256=hashlib.sha256(b"bonjour").hexdigest(), peer=buyer.peer_id)
    await shop.call("deliver", peer=buyer.peer_id, addrs=[], text="merci")
    await buyer.event("message", peer=shop.peer_id)
    await shop.call("announce", frame="head:2:new")
    await buyer.event("head", frame="head:2:new")

    serving = (await relay.call("reachability"))["serving"]
    assert serving[:2] == [1, 1]
    assert serving[2] > 3_000_000


async def test_relay_is_left_out_when_the_direct_address_answers(peers: Peers) -> None:
    relay = await peers.start("relay", relay_service=True)
    shop = await peers.start("shop", relays=relay.addrs)
    place = await has_place(shop)
    buyer = await peers.start("buyer", peer_exchange=False)
    await buyer.call("deliver", peer=shop.peer_id, addrs=[place, shop.addrs[0]], text="bonjour")
    assert await route_to(buyer, shop) == shop.addrs[0]


async def test_relay_is_used_when_the_direct_address_is_dead(peers: Peers) -> None:
    relay = await peers.start("relay", relay_service=True)
    shop = await peers.start("shop", relays=relay.addrs)
    place = await has_place(shop)
    buyer = await peers.start("buyer", peer_exchange=False)
    dead = [f"/ip4/127.0.0.1/tcp/{port}/p2p/{shop.peer_id}" for port in (1, 2, 3, 4)]
    await buyer.call("deliver", peer=shop.peer_id, addrs=[*dead, place], text="bonjour")
    assert await route_to(buyer, shop) == place


async def test_place_is_kept_again_when_the_relay_restarted(peers: Peers) -> None:
    relay = await peers.start("relay", relay_service=True)
    port = int(relay.addrs[0].split("/")[4])
    shop = await peers.start("shop", relays=relay.addrs)
    await has_place(shop)
    await relay.kill9()

    async def lost() -> bool:
        return list((await shop.call("reachability"))["relays"].values()) not in ([""], [])

    await shop.until(lost)
    assert not [addr for addr in (await shop.call("about"))["addrs"] if "/p2p-circuit/" in addr]
    again = await peers.start("relay", again=True, relay_service=True, listen_port=port)
    place = await has_place(shop)
    buyer = await peers.start("buyer", peer_exchange=False)
    assert await buyer.call("connect", addr=place) == shop.peer_id
    assert again.peer_id == relay.peer_id


async def test_relay_refuses_when_all_places_are_taken(peers: Peers) -> None:
    relay = await peers.start("relay", relay_service=True, relay_reservations=1)
    first = await peers.start("first", relays=relay.addrs)
    await has_place(first)
    second = await peers.start("second", relays=relay.addrs)

    async def refused() -> bool:
        return list((await second.call("reachability"))["relays"].values()) == ["relay-refused"]

    await second.until(refused)
    assert (await relay.call("stats"))["drops"]["relay-200"] >= 1
    await first.close()
    await has_place(second)


@pytest.mark.parametrize("known", [True, False], ids=["connected", "unknown"])
async def test_relay_connects_nobody_who_has_no_place(peers: Peers, known: bool) -> None:
    relay = await peers.start("relay", relay_service=True)
    shop = await peers.start("shop", bootstrap=relay.addrs if known else [])
    if known:
        await shop.connected_to(relay)
    buyer = await peers.start("buyer", peer_exchange=False)
    with pytest.raises(Exception, match="knows no such peer"):
        await buyer.call("connect", addr=f"{relay.addrs[0]}/p2p-circuit/p2p/{shop.peer_id}")
    assert (await relay.call("stats"))["drops"]["relay-204"] == 1


async def test_circuit_ends_when_its_bytes_are_used_up_and_the_next_one_goes_on(peers: Peers) -> None:
    relay = await peers.start("relay", relay_service=True, relay_circuit_mb=1)
    shop = await peers.start("shop", relays=relay.addrs)
    place = await has_place(shop)
    buyer = await peers.start("buyer", peer_exchange=False)
    file = await shop.call("add_file", size=3_000_000)
    with pytest.raises(Exception, match=r"broke|early"):
        await buyer.call("fetch_file", peer=shop.peer_id, addrs=[place], root=file["root"])
    await buyer.call("deliver", peer=shop.peer_id, addrs=[place], text="bonjour")
    carried = (await relay.call("reachability"))["serving"][2]
    assert carried < 2_100_000


async def test_relay_bounds_circuits_of_one_peer(peers: Peers) -> None:
    relay = await peers.start("relay", relay_service=True, relay_circuits_per_peer=1)
    shop = await peers.start("shop", relays=relay.addrs)
    place = await has_place(shop)
    first, second = await peers.start_many("first", "second", peer_exchange=False)
    assert await first.call("connect", addr=place) == shop.peer_id
    with pytest.raises(Exception, match="refused"):
        await second.call("connect", addr=place)
    assert (await relay.call("stats"))["drops"]["relay-201"] == 1
    await first.close()

    async def free() -> bool:
        return bool((await relay.call("reachability"))["serving"][1] == 0)

    await relay.until(free)
    assert await second.call("connect", addr=place) == shop.peer_id


async def test_relay_that_is_none_is_told_so(peers: Peers) -> None:
    plain = await peers.start("plain")
    shop = await peers.start("shop", relays=plain.addrs)

    async def told() -> bool:
        return list((await shop.call("reachability"))["relays"].values()) == ["protocol-unsupported"]

    await shop.until(told)
