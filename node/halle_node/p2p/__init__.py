"""The peer-to-peer network: gossip of heads, block exchange, direct messages, reconciliation, over libp2p."""

from __future__ import annotations

from halle_node.p2p.network import Network
from halle_node.p2p.types import Handlers, NetworkConfig, NetworkStats, PeerInfo, Reachability, Reached, Verdict

__all__ = ["Handlers", "Network", "NetworkConfig", "NetworkStats", "PeerInfo", "Reachability", "Reached", "Verdict"]
