"""Whom this node will have nothing to do with, and whom it always serves: the operator's own list.

A rule names a peer, a store, an IP address or a subnet, and blocks or allows it. The most specific rule about a
subject holds, and allowing wins a tie. Rules are kept in the database and hold at once: at dialling and accepting, in
gossip, reconciliation and messages, and in the market, where a blocked store vanishes until the rule does.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.db import Database
from halle_node.db.schema.access import access_rule as table
from halle_node.p2p.addresses import check_peer_id
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import parse_address, to_checksum

MAX_RULES = 10_000
MAX_NOTE = 200
PEER, STORE, NET = "peer", "store", "net"

Net = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One decision of the operator. Units: `since` in unix seconds."""

    subject: str
    kind: str
    allows: bool
    note: str
    since: int


@dataclass(frozen=True)
class Rules:
    """All rules, ready to be asked from any thread; replaced whole when one changes."""

    peers: dict[str, bool] = field(default_factory=dict)
    stores: dict[bytes, bool] = field(default_factory=dict)
    nets: tuple[tuple[Net, bool], ...] = ()

    def ip(self, text: str) -> bool | None:
        """True when an address is allowed, False when it is blocked, None when no rule is about it."""
        try:
            address = ipaddress.ip_address(text.split("%")[0])
        except ValueError:
            return None
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        about = [(net.prefixlen, allows) for net, allows in self.nets if address in net]
        return max(about)[1] if about else None


class AccessList:
    """The rules and their table. `changed` callbacks run on the asyncio loop after each change."""

    def __init__(self, db: Database, clock: Callable[[], int], own: Collection[str] = ()) -> None:
        self._db = db
        self._clock = clock
        self._own = own
        self._changed: list[Callable[[], object]] = []
        self.rules = _compiled(self.listing())

    # --- asked by the parts, in any thread

    def is_blocked(self, peer: str) -> bool:
        """True for a peer the operator blocked."""
        return self.rules.peers.get(peer) is False

    def is_exempt(self, peer: str) -> bool:
        """True for a peer the operator allowed: never banned, never short of a connection."""
        return self.rules.peers.get(peer) is True

    def ip(self, text: str) -> bool | None:
        """True when an address is allowed, False when blocked, None when no rule is about it."""
        return self.rules.ip(text)

    def blocks_store(self, store: bytes) -> bool:
        """True for a store the operator blocked."""
        return self.rules.stores.get(store) is False

    def allowed_stores(self) -> set[bytes]:
        """The stores that the operator allowed."""
        return {store for store, allows in self.rules.stores.items() if allows}

    def blocked_stores(self) -> set[bytes]:
        """The stores that the operator blocked."""
        return {store for store, allows in self.rules.stores.items() if not allows}

    # --- asked by the operator

    def subscribe(self, callback: Callable[[], object]) -> None:
        """Call `callback()` after each change."""
        self._changed.append(callback)

    def listing(self, *, allows: bool | None = None) -> list[AccessRule]:
        """The rules, newest first."""
        query = select(table).order_by(table.c.since.desc(), table.c.subject)
        if allows is not None:
            query = query.where(table.c.allows.is_(allows))
        return self._db.read(lambda conn: [AccessRule(**row._mapping) for row in conn.execute(query)])

    async def add(self, subject: str, *, allows: bool, note: str = "") -> AccessRule:
        """Block or allow; a rule about the same subject is replaced.

        Raises: Refused "access-subject", "access-own", "access-full".
        """
        kind, name = parse_subject(subject)
        if name in self._own:
            raise Refused("That is this node itself.", code="access-own", hint="Name somebody else.")
        rule = AccessRule(name, kind, allows, " ".join(note.split())[:MAX_NOTE], self._clock())
        if len(self.listing()) >= MAX_RULES:
            raise Refused(f"There are {MAX_RULES} rules already.", code="access-full", hint="Remove some first.")
        await self._db.write(lambda conn: _put(conn, rule))
        self._renew()
        return rule

    async def remove(self, subject: str, *, allows: bool) -> AccessRule:
        """Take a rule back and return it. Raises: Refused "access-subject", "access-unknown"."""
        _, name = parse_subject(subject)
        found = next((rule for rule in self.listing(allows=allows) if rule.subject == name), None)
        if found is None:
            verb = "allowed" if allows else "blocked"
            raise Refused(f"{name} is not {verb}.", code="access-unknown", hint="List the rules to see what is.")
        await self._db.write(lambda conn: conn.execute(delete(table).where(table.c.subject == name)).rowcount)
        self._renew()
        return found

    def _renew(self) -> None:
        self.rules = _compiled(self.listing())
        for callback in self._changed:
            callback()


def parse_subject(text: str) -> tuple[str, str]:
    """Return (kind, normal form) of what a rule is about.

    Raises: Refused "access-subject".
    """
    name = text.strip()
    if name.lower().startswith("0x"):
        try:
            return STORE, to_checksum(parse_address(name))
        except HalleError as exc:
            raise _no_subject(name) from exc
    if name.startswith(("12D3Koo", "Qm", "16Uiu2")):
        return PEER, check_peer_id(name)
    try:
        net = ipaddress.ip_network(name, strict=False)
    except ValueError as exc:
        raise _no_subject(name) from exc
    return NET, str(net.network_address) if net.num_addresses == 1 else str(net)


def _no_subject(name: str) -> Refused:
    return Refused(
        f"{name[:80]!r} is neither a peer, a store, an IP address nor a subnet.",
        code="access-subject",
        hint="Examples: 12D3Koo…, 0x…, 203.0.113.7, 203.0.113.0/24.",
    )


def _put(conn: Connection, rule: AccessRule) -> None:
    values = {"kind": rule.kind, "allows": rule.allows, "note": rule.note, "since": rule.since}
    statement = insert(table).values(subject=rule.subject, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["subject"], set_=values))


def _compiled(rules: Iterable[AccessRule]) -> Rules:
    listed = list(rules)
    return Rules(
        peers={one.subject: one.allows for one in listed if one.kind == PEER},
        stores={parse_address(one.subject): one.allows for one in listed if one.kind == STORE},
        nets=tuple((ipaddress.ip_network(one.subject), one.allows) for one in listed if one.kind == NET),
    )
