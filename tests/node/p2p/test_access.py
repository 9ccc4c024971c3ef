"""What the operator decides holds between real peers: at the door, on open connections, and after a restart."""

from __future__ import annotations

from typing import Any

import pytest


async def alone(peer: Any) -> None:
    async def check() -> bool:
        return await peer.call("peers") == []

    await peer.until(check)


async def test_blocked_peer_is_disconnected_refused_and_heard_again_when_taken_back(peers: Any) -> None:
    a, b = await peers.start_many("a", "b")
    await a.call("connect", addr=b.addrs[0])
    await b.connected_to(a)
    await b.call("rule", subject=a.peer_id)
    await alone(b)
    with pytest.raises(Exception, match="blocked") as refusal:
        await b.call("deliver", peer=a.peer_id, addrs=a.addrs, text="to the blocked one")
    assert refusal.value.code == "peer-blocked"
    with pytest.raises(Exception, match=r"(?i)peer") as failure:
        await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="from the blocked one")
    assert failure.value.kind == "Unavailable"
    assert await b.call("processed") == []
    await b.close()
    again = await peers.start("b", again=True)
    with pytest.raises(Exception, match=r"(?i)peer"):
        await a.call("deliver", peer=again.peer_id, addrs=again.addrs, text="after a restart")
    await again.call("rule", subject=a.peer_id, back=True)
    await a.call("deliver", peer=again.peer_id, addrs=again.addrs, text="welcome back")
    assert len(await again.call("processed")) == 1


async def test_blocked_address_is_refused_both_ways_unless_a_narrower_rule_allows_it(peers: Any) -> None:
    a, b = await peers.start_many("a", "b")
    await a.call("connect", addr=b.addrs[0])
    await b.connected_to(a)
    await b.call("rule", subject="127.0.0.0/8")
    await alone(b)
    for near, far in ((a, b), (b, a)):
        with pytest.raises(Exception, match="did not answer"):
            await near.call("deliver", peer=far.peer_id, addrs=far.addrs, text="knock")
    await b.call("rule", subject="127.0.0.1", allows=True)
    await a.call("deliver", peer=b.peer_id, addrs=b.addrs, text="let in")
    assert len(await b.call("processed")) == 1


async def test_allowed_peer_is_never_banned(peers: Any) -> None:
    a, b = await peers.start_many("a", "b")
    await a.call("rule", subject=b.peer_id, allows=True)
    await a.call("connect", addr=b.addrs[0])
    await a.connected_to(b)
    for number in range(30):
        await b.call("gossip_only", frame=f"bad {number}")

    async def was_judged() -> bool:
        return (await a.call("stats"))["drops"].get("head-reject", 0) >= 20

    await a.until(was_judged)
    assert (await a.call("stats"))["banned"] == 0
    await a.connected_to(b)


async def test_transfer_that_was_cut_keeps_what_had_come(peers: Any) -> None:
    """The giver is killed in the middle of a large answer: all that came whole is kept, and only the rest is asked."""
    a, b = await peers.start_many("a", "b", read_timeout_s=3.0)
    file = await a.call("add_file", size=60_000_000)
    got = await b.call("fetch_while", peer=a.peer_id, addrs=a.addrs, root=file["root"], pid=a.process.pid)
    await a.process.wait()
    await a._reader
    print(f"cut after {got['first']} of {got['all']} blocks")
    assert 0 < got["first"] < got["all"]
    again = await peers.start("a", again=True)
    rest = await b.call("fetch_rest", peer=again.peer_id, addrs=again.addrs, root=file["root"])
    assert rest["sha256"] == file["sha256"]
    assert rest["fetched"] == got["all"] - got["first"]
