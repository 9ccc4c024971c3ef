"""A peer's budget is its own, refills with time, and rules broken too often get it banned for a while."""

from __future__ import annotations

from halle_node.p2p.limits import BAN_S, MAX_PEERS_REMEMBERED, PeerLedger


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def ledger(clock: Clock) -> PeerLedger:
    return PeerLedger({"messages": 60.0, "bytes": 6000.0}, clock)


def test_budget_is_spent_and_refills() -> None:
    clock = Clock()
    peers = ledger(clock)
    assert [peers.take("a", "messages") for _ in range(11)] == [True] * 10 + [False]
    clock.now += 1
    assert peers.take("a", "messages")
    assert not peers.take("a", "messages")


def test_budgets_are_by_peer_and_lane() -> None:
    peers = ledger(Clock())
    while peers.take("a", "messages"):
        pass
    assert peers.take("b", "messages")
    assert peers.take("a", "bytes", 100)


def test_one_large_amount_passes_and_leaves_a_debt() -> None:
    clock = Clock()
    peers = ledger(clock)
    assert peers.take("a", "bytes", 5000)
    clock.now += 30
    assert not peers.take("a", "bytes", 1)
    clock.now += 15
    assert peers.take("a", "bytes", 1)


def test_peer_is_banned_when_it_breaks_rules_often() -> None:
    clock = Clock()
    peers = ledger(clock)
    assert [peers.rejected("a") for _ in range(11)] == [False] * 10 + [True]
    assert peers.is_banned("a")
    assert not peers.is_banned("b")
    clock.now += BAN_S + 1
    assert not peers.is_banned("a")


def test_good_frames_earn_patience_up_to_a_limit() -> None:
    peers = ledger(Clock())
    for _ in range(500):
        peers.accepted("a")
    assert peers.score("a") == 100
    assert sum(peers.rejected("a") for _ in range(20)) == 0
    assert peers.rejected("a")


def test_streams_of_a_peer_are_bounded() -> None:
    peers = ledger(Clock())
    assert [peers.enter_stream("a", 2) for _ in range(3)] == [True, True, False]
    peers.leave_stream("a")
    assert peers.enter_stream("a", 2)


def test_memory_for_peers_is_bounded() -> None:
    peers = ledger(Clock())
    for number in range(MAX_PEERS_REMEMBERED + 100):
        peers.take(str(number), "messages")
    assert len(peers._accounts) == MAX_PEERS_REMEMBERED
