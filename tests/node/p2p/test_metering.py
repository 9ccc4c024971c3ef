"""Bandwidth is counted on the connection and the upload budget holds, between real processes."""

from __future__ import annotations

from halle_node.p2p.metering import MAX_PEERS, Meter, UploadBudget

from .conftest import Peers

MB = 1024 * 1024


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_upload_budget_holds_over_any_time() -> None:
    clock = Clock()
    budget = UploadBudget(100, clock)
    sent = 0
    for _ in range(600):
        clock.now += 0.1
        while budget.take(30_000):
            sent += 30_000
    assert 100 * 1024 * 60 * 0.95 <= sent <= 100 * 1024 * (60 + 10) + 30_000


def test_one_large_block_passes_and_is_paid_for_later() -> None:
    clock = Clock()
    budget = UploadBudget(1, clock)
    assert budget.take(MB)
    clock.now += 1_000
    assert not budget.take(1)
    clock.now += 100
    assert budget.take(1)


def test_gateway_shares_the_budget() -> None:
    clock = Clock()
    budget = UploadBudget(1, clock)
    assert not budget.spent
    budget.spend(MB)
    assert budget.spent
    assert not budget.take(1)
    clock.now += 1_100
    assert not budget.spent
    assert not UploadBudget(0).spent


def test_no_cap_is_no_cap() -> None:
    assert all(UploadBudget(0).take(MB) for _ in range(1000))


def test_meter_remembers_a_bounded_number_of_peers() -> None:
    meter = Meter()
    for number in range(MAX_PEERS + 10):
        meter.count(str(number), 1, 2)
    assert meter.of("0") == (0, 0)
    assert (meter.bytes_in, meter.bytes_out) == (MAX_PEERS + 10, 2 * (MAX_PEERS + 10))


async def test_upload_is_capped_and_counted_between_processes(peers: Peers) -> None:
    server = await peers.start("server", upload_kb_s=64)
    client = await peers.start("client", bootstrap=server.addrs)
    await client.connected_to(server)
    made = await server.call("add_file", size=8 * MB)
    blocks = await client.call("fetch", peer=server.peer_id, addrs=[], cids=[made["root"]])
    assert blocks == [made["root"]]
    leaves = await client.call("leaves", peer=server.peer_id, root=made["root"])
    # Ten seconds' worth and one block more; what took longer on a busy machine has its own allowance.
    assert 0 < leaves["bytes"] <= 64 * 1024 * (10 + leaves["seconds"]) + MB
    assert leaves["missing"] > 0
    await client.until(lambda: counted(client, server.peer_id, leaves["bytes"]))
    await server.until(lambda: counted(server, client.peer_id, 1))


async def counted(client, peer_id: str, at_least: int) -> bool:
    [info] = [each for each in await client.call("peers") if each["peer_id"] == peer_id]
    stats = await client.call("stats")
    return info["bytes_in"] >= at_least and stats["wire_in"] >= info["bytes_in"]
