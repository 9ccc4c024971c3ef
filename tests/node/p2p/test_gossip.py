"""The mesh runs with the settings of the page, our own scores are live in it, and many heads are gossiped in shards."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from halle_node.p2p import limits, mesh
from halle_node.p2p.gossip import SHARD_TOPICS, TOPIC, topic_of
from halle_node.p2p.limits import PeerLedger
from halle_node.p2p.types import NetworkConfig

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "11-network.md").read_text(encoding="utf-8")
SETTING = re.compile(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \|$", re.MULTILINE)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def router(ledger: PeerLedger | None = None) -> mesh.Mesh:
    return mesh.Mesh(ledger or PeerLedger({}, Clock()), lambda peer: None)


def test_live_router_has_the_settings_of_the_page() -> None:
    live = router()
    section = PAGE.split("## 3.")[1].split("## 4.")[0]
    told = dict(SETTING.findall(section))
    assert set(told) == set(mesh.ROUTER) | set(mesh.AFTERWARDS) | set(mesh.PUBSUB)
    for name, text in told.items():
        found = mesh.PUBSUB[name] if name in mesh.PUBSUB else _live(live, name)
        assert str(found) == text.strip(), name


def _live(live: Any, name: str) -> Any:
    at = {
        "gossip_window": lambda: live.mcache.window_size,
        "gossip_history": lambda: live.mcache.history_size,
        "max_pending_messages_per_peer": lambda: live._max_pending_messages_per_peer,
    }
    return at[name]() if name in at else getattr(live, name)


def test_router_speaks_1_1_and_understands_1_0_only() -> None:
    assert [str(protocol) for protocol in router().protocols] == ["/meshsub/1.1.0", "/meshsub/1.0.0"]


def test_score_of_the_router_is_that_of_the_ledger_good_is_high() -> None:
    ledger = PeerLedger({}, Clock())
    scorer = router(ledger).scorer
    ledger.accepted("good")
    for _ in range(5):
        ledger.rejected("bad")
    assert scorer.score("good", []) > 0 > scorer.score("bad", [])
    assert [scorer.is_graylisted(peer, []) for peer in ("good", "bad")] == [False, True]
    assert [scorer.allow_gossip(peer, []) for peer in ("good", "bad")] == [True, False]
    while not ledger.rejected("bad"):
        pass
    assert scorer.score("bad", []) == -math.inf
    assert not scorer.allow_publish("bad", [])


def test_score_survives_a_disconnection_and_fades() -> None:
    clock = Clock()
    ledger = PeerLedger({}, clock)
    scorer = router(ledger).scorer
    for _ in range(5):
        ledger.rejected("bad")
    scorer.remove_peer("bad")
    scorer.on_heartbeat()
    assert scorer.score("bad", []) == -50
    clock.now += limits.SCORE_HALF_LIFE_S
    assert scorer.score("bad", []) == -25


def test_fallen_peer_leaves_the_mesh_at_the_next_heartbeat() -> None:
    ledger = PeerLedger({}, Clock())
    live = router(ledger)

    class Heard:
        peer_topics = {TOPIC: {"good", "bad"}}

    live.pubsub = Heard()
    live.mesh[TOPIC] = {"good", "bad"}
    for _ in range(5):
        ledger.rejected("bad")
    _, prunes = live.mesh_heartbeat()
    assert live.mesh[TOPIC] == {"good"}
    assert prunes["bad"] == [TOPIC]
    assert live._check_back_off("bad", TOPIC)


def test_crowd_that_spends_the_shared_budget_leaves_each_its_reserve() -> None:
    ledger = PeerLedger({"heads": 1200.0, "heads-reserve": 60.0, "heads-all": 600.0}, Clock())
    waits = [ledger.pace(f"flooder {number}", "heads", 100) for number in range(20)]
    assert waits[0] == 0
    assert min(waits[2:]) > 1
    assert ledger.pace("honest", "heads", 1) == 0


@pytest.mark.parametrize("known", [0, 5, 9])
def test_few_heads_are_published_in_the_plain_topic(known: int) -> None:
    assert topic_of(b"\x2a" * 20, known, 5) == TOPIC


def test_many_heads_are_published_in_the_shard_of_the_store() -> None:
    assert topic_of(b"\x2a" * 20, 10, 5) == f"{TOPIC}/0a" == SHARD_TOPICS[10]
    assert topic_of(b"", 10, 5) == TOPIC


async def test_nodes_that_know_many_and_few_heads_hear_each_other(peers: Any) -> None:
    """The one speaks in shards, the other in the plain topic; what gossip cannot carry comes by reconciliation."""
    many, few = await peers.start_many("many", "few", shards_from=5, sync_interval_s=0.5, syncs_per_minute=6000)
    await many.call("keep", frames=[f"head:{n}:known" for n in range(20)])
    await few.call("connect", addr=many.addrs[0])
    await few.count("head", 20)
    await few.call("announce", frame="head:21:plain")
    await many.event("head", frame="head:21:plain")
    await many.call("announce", frame="head:22:sharded", store="2a" * 20)
    await few.event("head", frame="head:22:sharded")


def test_reserve_and_shared_budget_fit_the_limit_of_one_peer() -> None:
    config = NetworkConfig()
    assert config.heads_per_minute_reserve < config.heads_per_minute_all <= config.heads_per_minute
