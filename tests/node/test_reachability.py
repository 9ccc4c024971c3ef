"""From what peers found to what the owner reads."""

from __future__ import annotations

import pytest

from halle_node.p2p import Reachability, Reached
from halle_node.reachability import judge

LOOPBACK, HOME, PUBLIC = "/ip4/127.0.0.1/tcp/4480", "/ip4/192.168.1.7/tcp/4480", "/ip4/8.8.4.4/tcp/4480"
RELAY = "/ip4/8.8.8.8/tcp/4480/p2p/12D3KooWFfnYNNrzDa5jtTnYLGG4bG4QH2Um8Hud2naVuSgCrP6s"


def facts(
    listening: str, verdicts: dict[str, int], relays: dict[str, str] | None = None, **more: object
) -> Reachability:
    tried = tuple(Reached(addr, yes, 0 if yes else 1, 1_800_000_000) for addr, yes in verdicts.items())
    return Reachability((listening,), (listening,), tried, relays or {}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "state", "first"),
    [
        (facts(HOME, {}), "unknown", "connect"),
        (facts(LOOPBACK, {}), "loopback", "listen"),
        (facts(LOOPBACK, {LOOPBACK: 1}), "loopback", "listen"),
        (facts(HOME, {PUBLIC: 0}), "private", "forward"),
        (facts(HOME, {HOME: 1, PUBLIC: 0}), "lan", "forward"),
        (facts(HOME, {PUBLIC: 1}), "public", "nothing"),
        (facts(HOME, {PUBLIC: 0}, {RELAY: ""}), "relayed", "nothing"),
        (facts(HOME, {PUBLIC: 0}, {RELAY: "relay-refused"}), "private", "relay-fails"),
    ],
)
def test_state_and_next_step_follow_from_the_facts(given: Reachability, state: str, first: str) -> None:
    found = judge(given)
    assert (found.state, found.steps[0]) == (state, first)


def test_only_who_is_reachable_and_does_not_relay_is_asked_to() -> None:
    assert "offer-relay" in judge(facts(HOME, {PUBLIC: 1})).steps
    assert "offer-relay" not in judge(facts(HOME, {PUBLIC: 1}, serving=(0, 0, 0))).steps
    assert "offer-relay" not in judge(facts(HOME, {PUBLIC: 0})).steps
