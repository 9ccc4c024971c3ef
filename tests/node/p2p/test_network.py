"""Two and three real peers on loopback trade heads, blocks and messages."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from halle_protocol.cid import RAW, cid_of


async def test_heads_reach_every_peer(peers: Any) -> None:
    a, b, c = await peers.start_many("a", "b", "c")
    await b.call("connect", addr=a.addrs[0])
    await c.call("connect", addr=b.addrs[0])
    await asyncio.gather(a.connected_to(b), b.connected_to(c))
    for number in range(20):
        await a.call("announce", frame=f"head:{number}:shirt")
    for peer in (b, c):
        assert await peer.count("head", 20) == 20
        assert len({event["frame"] for event in peer.events if event["event"] == "head"}) == 20
    assert (await a.call("stats"))["frames_out"] >= 20
    stats = await c.call("stats")
    # A copy may come by another way while the first is judged; these peers' judge knows no head from before.
    assert stats["heads_in"] >= 20
    assert stats["drops"] == {}


async def test_file_is_fetched_in_verified_blocks(peers: Any) -> None:
    a, b = await peers.start_many("a", "b", max_response_bytes=1_000_000)
    file = await a.call("add_file", size=3_000_000)
    got = await b.call("fetch_file", peer=a.peer_id, addrs=a.addrs, root=file["root"])
    assert got == file["sha256"]
    stranger = str(cid_of(RAW, b"nobody has this"))
    assert await b.call("fetch", peer=a.peer_id, addrs=[], cids=[stranger]) == []
    assert await b.call("fetch_any", cids=[file["root"], stranger]) == [file["root"]]


async def test_lying_peer_is_caught_and_banned(peers: Any) -> None:
    a, b = await peers.start_many("a", "b")
    file = await a.call("add_file", size=1000)
    await a.call("lie")
    for _ in range(11):
        with pytest.raises(Exception, match="hash") as lie:
            await b.call("fetch", peer=a.peer_id, addrs=a.addrs, cids=[file["root"]])
        assert (lie.value.code, lie.value.kind) == ("cid-mismatch", "RemoteProtocolError")
    with pytest.raises(Exception, match="broke the rules") as ban:
        await b.call("fetch", peer=a.peer_id, addrs=a.addrs, cids=[file["root"]])
    assert ban.value.code == "peer-banned"


async def test_message_is_confirmed_after_it_was_processed(peers: Any) -> None:
    a, b = await peers.start_many("a", "b")
    await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="order", pad=200_000)
    assert len(await b.call("processed")) == 1
    with pytest.raises(Exception, match="limit") as refusal:
        await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="order", pad=300_000)
    assert refusal.value.code == "envelope-too-large"


async def test_message_is_refused_with_the_far_code(peers: Any) -> None:
    a, b = await peers.start_many("a", "b")
    await b.call("on_message", do="refuse")
    with pytest.raises(Exception, match="stall is closed") as refusal:
        await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="order")
    assert (refusal.value.code, refusal.value.kind) == ("stall-closed", "Refused")
    await b.call("on_message", do="fail")
    with pytest.raises(Exception, match="could not be processed") as failure:
        await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="order")
    assert (failure.value.code, failure.value.kind) == ("processing-failed", "Unavailable")


async def test_message_is_processed_once_when_the_receiver_crashed_before(peers: Any) -> None:
    a, b = await peers.start_many("a", "b")
    await b.call("on_message", do="crash")
    with pytest.raises(Exception, match="peer") as failure:
        await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="order")
    assert failure.value.kind == "Unavailable"
    await b.process.wait()
    again = await peers.start("b", again=True)
    assert await again.call("processed") == []
    for _ in range(2):
        await a.call("deliver", peer=again.peer_id, addrs=again.addrs, text="order")
    assert len(await again.call("processed")) == 1


async def test_message_is_unavailable_when_processing_hangs(peers: Any) -> None:
    a, b = await peers.start_many("a", "b", request_timeout_s=1.0)
    await b.call("on_message", do="hang")
    with pytest.raises(Exception, match="in time") as failure:
        await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="order")
    assert failure.value.kind == "Unavailable"


async def test_late_joiner_gets_what_it_missed_by_reconciliation(peers: Any) -> None:
    a, b = await peers.start_many("a", "b", sync_interval_s=0.3)
    await a.call("keep", frames=[f"head:{number}:old" for number in range(300)])
    await b.call("keep", frames=[f"head:{number}:other" for number in range(250)])
    await b.call("connect", addr=a.addrs[0])
    await asyncio.gather(b.count("head", 300), a.count("head", 250))
    await a.call("keep", frames=["head:999:silent"])
    await b.event("head", frame="head:999:silent")
    stats = await b.call("stats")
    assert stats["syncs"] >= 1
    assert stats["last_sync"] > 0
    assert await a.call("heads_kept") == await b.call("heads_kept")


async def test_peer_restarted_with_the_same_key_is_found_again(peers: Any) -> None:
    a = await peers.start("a")
    b = await peers.start("b", bootstrap=[a.addrs[0]])
    await b.connected_to(a)
    await a.call("announce", frame="head:1:before")
    await b.event("head", frame="head:1:before")
    port = int(a.addrs[0].split("/")[4])
    assert await a.close() < 3.0
    again = await peers.start("a", again=True, listen_port=port)
    assert again.peer_id == a.peer_id
    await b.connected_to(again)
    await again.call("announce", frame="head:2:after")
    await b.event("head", frame="head:2:after")


async def test_killed_peer_is_found_again(peers: Any) -> None:
    a, c = await peers.start_many("a", "c")
    b = await peers.start("b", bootstrap=[a.addrs[0], c.addrs[0]])
    await b.connected_to(a)
    port = int(a.addrs[0].split("/")[4])
    await a.kill9()
    await c.call("deliver", peer=b.peer_id, addrs=b.addrs, text="still trading")
    again = await peers.start("a", again=True, listen_port=port)
    await b.connected_to(again)
    await b.call("deliver", peer=again.peer_id, addrs=[], text="welcome back")
    assert len(await again.call("processed")) == 1


async def test_frozen_peer_is_dropped_and_found_again_when_it_wakes(peers: Any) -> None:
    b = await peers.start("b")
    a = await peers.start("a", bootstrap=[b.addrs[0]], health_check_interval_s=0.5, dial_timeout_s=1.0)
    await a.connected_to(b)
    b.process.send_signal(signal.SIGSTOP)

    async def is_alone() -> bool:
        return await a.call("peers") == []

    await a.until(is_alone)
    b.process.send_signal(signal.SIGCONT)
    await a.connected_to(b)


async def test_peers_are_remembered_over_a_restart(peers: Any) -> None:
    a = await peers.start("a")
    b = await peers.start("b", remembered_path="yes")
    await b.call("connect", addr=a.addrs[0])

    async def is_remembered() -> bool:
        path = b.directory / "peers.json"
        return path.exists() and a.peer_id in path.read_text()

    await b.until(is_remembered)
    await b.close()
    again = await peers.start("b", again=True, remembered_path="yes")
    await again.connected_to(a)


async def test_network_restarts_when_its_thread_ended(peers: Any) -> None:
    a, b = await peers.start_many("a", "b")
    await a.call("connect", addr=b.addrs[0])
    before = await a.call("about")
    await a.call("break_network")

    async def is_back() -> bool:
        stats = await a.call("stats")
        return bool(stats["restarts"]) and bool(stats["running"])

    await a.until(is_back)
    assert await a.call("about") == before
    await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="as if nothing happened")
    assert len(await b.call("processed")) == 1


async def test_second_peer_on_the_same_port_is_refused(peers: Any) -> None:
    a = await peers.start("a")
    other = type(a)(a.directory.parent / "x", "77" * 32, {"listen_port": int(a.addrs[0].split("/")[4])})
    await other.start()
    assert (await other.event("failed"))["code"] == "p2p-port-unavailable"
    await other.process.wait()


async def test_unreachable_peer_is_unavailable(peers: Any) -> None:
    a, b = await peers.start_many("a", "b")
    await b.close()
    with pytest.raises(Exception, match="did not answer") as failure:
        await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="order")
    assert (failure.value.code, failure.value.kind) == ("peer-unreachable", "Unavailable")
    with pytest.raises(Exception, match="not a peer address") as refusal:
        await a.call("connect", addr="/ip4/127.0.0.1/udp/1/quic")
    assert refusal.value.code == "bad-multiaddr"
