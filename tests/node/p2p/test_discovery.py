"""Finding peers: who answers from outside, who else there is, and where one is now."""

from __future__ import annotations

import hashlib

from node.p2p.conftest import Peer, Peers


async def reached(peer: Peer) -> dict[str, int]:
    """Wait for a verdict; return how many confirmed each address."""

    async def check() -> bool:
        return bool((await peer.call("reachability"))["verdicts"])

    await peer.until(check)
    return {v["addr"]: v["confirmed"] for v in (await peer.call("reachability"))["verdicts"]}


async def test_peer_that_is_dialled_back_knows_that_it_is_reachable(peers: Peers) -> None:
    helper = await peers.start("helper")
    asker = await peers.start("asker", bootstrap=helper.addrs)
    own = asker.addrs[0].removesuffix(f"/p2p/{asker.peer_id}")
    assert await reached(asker) == {own: 1}


async def test_peer_that_nobody_can_dial_takes_a_place_at_a_relay_it_met(peers: Peers) -> None:
    relay = await peers.start("relay", relay_service=True)
    # It listens where the relay does not look for it: as behind a router.
    hidden = await peers.start("hidden", bootstrap=relay.addrs, listen_host="127.0.0.2")
    assert set((await reached(hidden)).values()) == {0}

    async def has_place() -> bool:
        return any("/p2p-circuit/" in addr for addr in (await hidden.call("about"))["addrs"])

    await hidden.until(has_place)
    assert (await hidden.call("reachability"))["relays"] == {relay.addrs[0]: ""}


async def test_peer_learns_of_others_from_those_it_knows(peers: Peers) -> None:
    hub = await peers.start("hub")
    known = await peers.start("known", bootstrap=hub.addrs)
    await hub.call("connect", addr=known.addrs[0])
    await known.connected_to(hub)
    far = await peers.start("far")
    await hub.call("connect", addr=far.addrs[0])
    late = await peers.start("late", bootstrap=hub.addrs)
    await late.connected_to(far)


async def test_peer_exchange_can_be_switched_off(peers: Peers) -> None:
    hub, far = await peers.start("hub"), await peers.start("far")
    await hub.call("connect", addr=far.addrs[0])
    shy = await peers.start("shy", bootstrap=hub.addrs, peer_exchange=False)
    await shy.connected_to(hub)

    async def reconciled() -> bool:
        return bool((await shy.call("stats"))["syncs"])

    await shy.until(reconciled)
    await reached(shy)
    assert [info["peer_id"] for info in await shy.call("peers")] == [hub.peer_id]


async def test_message_finds_a_peer_that_moved(peers: Peers) -> None:
    hub, shop = await peers.start("hub"), await peers.start("shop")
    await hub.call("connect", addr=shop.addrs[0])
    buyer = await peers.start("buyer", bootstrap=hub.addrs, peer_exchange=False)
    await buyer.connected_to(hub)
    stale = f"/ip4/127.0.0.1/tcp/1/p2p/{shop.peer_id}"
    await buyer.call("deliver", peer=shop.peer_id, addrs=[stale], text="bonjour")
    await shop.event("message", sha256=hashlib.sha256(b"bonjour").hexdigest(), peer=buyer.peer_id)


async def test_peer_behind_a_relay_is_found_by_asking_the_relay(peers: Peers) -> None:
    relay = await peers.start("relay", relay_service=True)
    await peers.start("shop", relays=relay.addrs, listen_host="127.0.0.2")
    shop = peers.all[-1]

    async def holds() -> bool:
        return bool((await relay.call("reachability"))["serving"][0])

    await relay.until(holds)
    buyer = await peers.start("buyer", bootstrap=relay.addrs, peer_exchange=False)
    await buyer.connected_to(relay)
    await buyer.call("deliver", peer=shop.peer_id, addrs=[], text="bonjour")
    (route,) = [info["addr"] for info in await buyer.call("peers") if info["peer_id"] == shop.peer_id]
    assert route == f"{relay.addrs[0]}/p2p-circuit/p2p/{shop.peer_id}"
