"""Can others reach this node, how, and what should its owner do next?"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from halle_node.p2p import Reachability

State = Literal["public", "relayed", "lan", "private", "loopback", "unknown"]
"""public: dialled from the internet. relayed: through a relay only. lan: from the same network only. private: peers
were asked, and none could. loopback: listens to this machine only. unknown: nobody was asked yet."""

Step = Literal["nothing", "connect", "listen", "forward", "forward-faster", "name-relay", "relay-fails", "offer-relay"]


@dataclass(frozen=True)
class Finding:
    """What the faces show. `steps` are what to do next, best first."""

    state: State
    steps: tuple[Step, ...]
    facts: Reachability


def judge(facts: Reachability) -> Finding:
    """Return the state and the next steps that the facts call for."""
    state = _state(facts)
    steps: list[Step] = list(_STEPS[state])
    if state == "public" and facts.serving is None:
        steps.append("offer-relay")
    if any(facts.relays.values()):
        steps = ["relay-fails", *(step for step in steps if step not in ("name-relay", "nothing"))]
    return Finding(state, tuple(steps), facts)


_STEPS: dict[State, tuple[Step, ...]] = {
    "public": ("nothing",),
    "relayed": ("nothing", "forward-faster"),
    "lan": ("forward", "name-relay"),
    "private": ("forward", "name-relay"),
    "loopback": ("listen",),
    "unknown": ("connect",),
}


def _state(facts: Reachability) -> State:
    confirmed = [verdict.addr for verdict in facts.verdicts if verdict.confirmed]
    if any(_ip(addr).is_global for addr in confirmed):
        return "public"
    if "" in facts.relays.values():
        return "relayed"
    if _only_loopback(facts.listening):
        return "loopback"
    if confirmed:
        return "lan"
    return "private" if facts.verdicts else "unknown"


def _only_loopback(addrs: Sequence[str]) -> bool:
    return bool(addrs) and all(_ip(addr).is_loopback for addr in addrs)


def _ip(addr: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address of `/ip4/…/tcp/…`: the network tells of no others here."""
    return ipaddress.ip_address(addr.split("/")[2])
