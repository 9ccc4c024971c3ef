"""Where a message goes and what it is sealed to. Rule: kept with the message, so that a restart forgets nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass

from halle_protocol.sealing import Prekey


@dataclass(frozen=True)
class Route:
    """A peer and the addresses it was last known at."""

    peer_id: str
    addrs: tuple[str, ...]


@dataclass(frozen=True)
class Destination:
    """A route together with the prekey that the far side can open."""

    route: Route
    prekey: Prekey

    def encode(self) -> bytes:
        """Return bytes for the outbox."""
        prekey = self.prekey
        return json.dumps(
            {
                "peer_id": self.route.peer_id,
                "addrs": list(self.route.addrs),
                "prekey": [prekey.id, prekey.suite, prekey.public.hex(), prekey.not_after],
            }
        ).encode()

    @classmethod
    def decode(cls, data: bytes) -> Destination:
        """Read back what `encode` wrote."""
        fields = json.loads(data)
        key_id, suite, public, not_after = fields["prekey"]
        return cls(
            route=Route(peer_id=fields["peer_id"], addrs=tuple(fields["addrs"])),
            prekey=Prekey(id=key_id, suite=suite, public=bytes.fromhex(public), not_after=not_after),
        )
