"""Two stores with real keys, real SQLite and real sealing, joined by a delivery call instead of a socket."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from halle_node.db import Database
from halle_node.db.schema import metadata
from halle_node.messages import Mailbox, MessageService, Quotas, Route
from halle_node.p2p.types import Kept
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.keys import address_of
from halle_protocol.messages import Message, sign_message
from halle_protocol.sealing import Prekey, make_prekey

NOW = 1_800_000_000


class Keys:
    """The keys of one store."""

    def __init__(self) -> None:
        self.private = secrets.token_bytes(32)
        self.store_address = address_of(self.private)
        secret, self.prekey = make_prekey(secrets.token_bytes(32), NOW + 10**6)
        self.known = {self.prekey.id: (secret, self.prekey.suite)}
        self.operator_private, self.grant = self.private, None

    def prekey_private(self, prekey_id: str) -> tuple[bytes, str]:
        if prekey_id not in self.known:
            raise Refused("No such prekey.", code="prekey-unknown")
        return self.known[prekey_id]


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Wire:
    """Envelopes go straight to the peer's `receive` or a real mailbox; `down` breaks the line, `lose_answers` the way
    back, `away` names peers and mailboxes that nobody reaches. The socket's own protocol is tested in tests/node/p2p.
    """

    peers: dict[str, MessageService] = field(default_factory=dict)
    boxes: dict[str, Mailbox] = field(default_factory=dict)
    shops: dict[str, MessageService] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    down: bool = False
    lose_answers: int = 0
    sent: list[bytes] = field(default_factory=list)

    def _reach(self, name: str) -> None:
        if name in self.away:
            raise Unavailable("The peer is away.", code="peer-unreachable")

    async def leave(self, mailbox: str, envelope: bytes) -> Kept:
        self._reach(mailbox)
        return await self.boxes[mailbox].leave(envelope, "sender")

    async def look(self, mailbox: str, envelope_digest: bytes) -> Kept:
        self._reach(mailbox)
        return await self.boxes[mailbox].look(envelope_digest)

    async def collect(self, mailbox, store, prove, take) -> tuple[int, bool]:
        self._reach(mailbox)
        letters, more = await self.boxes[mailbox].letters(store)
        words = [await take(each, mailbox) for each in letters]
        signed = [word for word in words if word is not None]
        await self.boxes[mailbox].settle(store, signed)
        return len(signed), more

    async def post(self, shop_url: str, envelope: bytes) -> bytes:
        self._reach(shop_url)
        return await self.shops[shop_url].take(envelope, "http")

    async def deliver(self, peer_id: str, addrs: Sequence[str], envelope: bytes) -> None:
        self._reach(peer_id)
        if self.down:
            raise Unavailable("The peer is away.", code="peer-unreachable")
        self.sent.append(envelope)
        await self.peers[peer_id].receive(envelope, "sender")
        if self.lose_answers:
            self.lose_answers -= 1
            raise Unavailable("The line was cut.", code="peer-unreachable")


@dataclass
class Store:
    """One end of the wire."""

    name: str
    keys: Keys
    db: Database
    service: MessageService
    seen: list[str] = field(default_factory=list)
    mailboxes: list[str] = field(default_factory=list)
    shop_url: str = ""

    @property
    def route(self) -> Route:
        return Route(self.name, (), self.shop_url, tuple(self.mailboxes))

    def prekey(self) -> Prekey:
        return self.keys.prekey

    def write(self, to: Store, text: str, *, id: bytes | None = None, thread: bytes = bytes(32)) -> Message:
        return sign_message(
            self.keys.private,
            id=id or secrets.token_bytes(16),
            thread=thread,
            type="chat",
            sender=self.keys.store_address,
            to=to.keys.store_address,
            issued=NOW,
            body={"text": text},
        )

    async def send(self, to: Store, message: Message) -> None:
        await self.db.write(lambda conn: self.service.send(conn, message, to.prekey(), to.route))

    @property
    def row(self):
        """The newest message of ours."""
        return self.service.outgoing()[0]

    async def retry(self) -> None:
        """Try again whatever waits."""
        self.service.hasten()
        await self.service.deliver_due()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_box(tmp_path: Path, wire: Wire, clock: Clock):
    """Make a real mailbox under a name, for whichever store."""
    opened = []

    def make(name: str, **quotas: int) -> Mailbox:
        db = Database(tmp_path / f"{name}.db")
        db.write_blocking(metadata.create_all)
        opened.append(db)
        box = wire.boxes[name] = Mailbox(db, clock, lambda store: True, Quotas(**quotas))
        return box

    yield make
    for db in opened:
        db.close()


@pytest.fixture
def make_store(tmp_path: Path, wire: Wire, clock: Clock):
    numbers, opened = count(), []

    def make(name: str) -> Store:
        db = Database(tmp_path / f"{name}-{next(numbers)}.db")
        db.write_blocking(metadata.create_all)
        opened.append(db)
        keys = Keys()
        named: list[str] = []
        service = MessageService(db, keys, wire, clock, poster=wire, mailboxes=lambda: named)
        store = Store(name, keys, db, service, mailboxes=named)
        service.register("chat", lambda conn, message: store.seen.append(message.body["text"]))
        wire.peers[name] = service
        return store

    yield make
    for db in opened:
        db.close()


@pytest.fixture
def stores(make_store: Callable[[str], Store]) -> tuple[Store, Store]:
    return make_store("a"), make_store("b")
