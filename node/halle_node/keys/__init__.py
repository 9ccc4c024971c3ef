"""Who the node is: the store's phrase, the operator, the peer and the prekeys.

Rule: nothing outside this package reads a key file.
"""

from __future__ import annotations

from halle_node.keys.recovery import Recovery, recovery_of
from halle_node.keys.ring import KeptKeys, Keys, peer_id_of

__all__ = ["KeptKeys", "Keys", "Recovery", "peer_id_of", "recovery_of"]
