"""Where a message goes, what it is sealed to, and which ways are tried in which order.

Rule: kept with the message, so that a restart forgets nothing; and the order of ways is one pure function.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from halle_protocol.sealing import Prekey

# A mailbox that has not brought an answer by then may be lost or withhold: the next one gets a copy too.
SECOND_COPY_S = 3600


@dataclass(frozen=True)
class Route:
    """A peer and the addresses it was last known at, its shop's address, and the mailboxes it names."""

    peer_id: str
    addrs: tuple[str, ...]
    shop_url: str = ""
    mailboxes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Left:
    """An envelope that waits at a mailbox. `envelope` is its sha2-256, `until` when the mailbox drops it."""

    mailbox: str
    envelope: bytes
    since: int
    until: int


@dataclass(frozen=True)
class Direct:
    """Hand it to the recipient's peer."""


@dataclass(frozen=True)
class Shop:
    """Post it to the recipient's shop."""


@dataclass(frozen=True)
class Look:
    """Ask a mailbox what became of the envelope left there."""

    left: Left


Way = Direct | Shop | Look


def ways(route: Route, left: Sequence[Left], now: int) -> tuple[Way, ...]:
    """Return how to hear from the recipient: by its peer, by its shop, by its word at the mailboxes used before."""
    direct: list[Way] = [Direct()] if route.peer_id else []
    shop: list[Way] = [Shop()] if route.shop_url else []
    return (*direct, *shop, *(Look(each) for each in left if each.until > now))


def next_mailboxes(route: Route, left: Sequence[Left], held: Sequence[Left], now: int) -> tuple[str, ...]:
    """Return where to leave a copy, first choice first, when no way has brought the recipient's word.

    `held` are those of the copies `left` that a mailbox has just said it still keeps. One is enough for an hour; after
    that the next mailbox gets one too, as the first may withhold. A mailbox that was used before and does not answer,
    or tells tales, comes last.
    """
    if held and max(each.since for each in held) > now - SECOND_COPY_S:
        return ()
    holding = {each.mailbox for each in held}
    used = {each.mailbox for each in left}
    fit = [mailbox for mailbox in dict.fromkeys(route.mailboxes) if mailbox not in holding]
    return tuple(sorted(fit, key=used.__contains__))


@dataclass(frozen=True)
class Destination:
    """A route together with the prekey that the far side can open."""

    route: Route
    prekey: Prekey

    def encode(self) -> bytes:
        """Return bytes for the outbox."""
        prekey, route = self.prekey, self.route
        return json.dumps(
            {
                "peer_id": route.peer_id,
                "addrs": list(route.addrs),
                "shop_url": route.shop_url,
                "mailboxes": list(route.mailboxes),
                "prekey": [prekey.id, prekey.suite, prekey.public.hex(), prekey.not_after],
            }
        ).encode()

    @classmethod
    def decode(cls, data: bytes) -> Destination:
        """Read back what `encode` wrote."""
        fields = json.loads(data)
        key_id, suite, public, not_after = fields["prekey"]
        return cls(
            route=Route(
                peer_id=fields["peer_id"],
                addrs=tuple(fields["addrs"]),
                shop_url=fields.get("shop_url", ""),
                mailboxes=tuple(fields.get("mailboxes", ())),
            ),
            prekey=Prekey(id=key_id, suite=suite, public=bytes.fromhex(public), not_after=not_after),
        )


def newer(*found: Destination) -> Destination:
    """Return the destination whose prekey lives longest, the later one of equals.

    A store that was restored writes from a new place before its profile is known everywhere.
    """
    return max(reversed(found), key=lambda each: each.prekey.not_after)
