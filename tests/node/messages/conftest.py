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
from halle_node.messages import MessageService, Route
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

    def prekey_private(self, prekey_id: str) -> tuple[bytes, str]:
        if prekey_id not in self.known:
            raise Refused("No such prekey.", code="prekey-unknown")
        return self.known[prekey_id]


@dataclass
class Wire:
    """Envelopes go straight to the peer's `receive`; `down` breaks the line, `lose_answers` the way back."""

    peers: dict[str, MessageService] = field(default_factory=dict)
    down: bool = False
    lose_answers: int = 0
    sent: list[bytes] = field(default_factory=list)

    async def deliver(self, peer_id: str, addrs: Sequence[str], envelope: bytes) -> None:
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
        route = Route(to.name, ())
        await self.db.write(lambda conn: self.service.send(conn, message, to.prekey(), route))


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def make_store(tmp_path: Path, wire: Wire):
    numbers, opened = count(), []

    def make(name: str) -> Store:
        db = Database(tmp_path / f"{name}-{next(numbers)}.db")
        db.write_blocking(metadata.create_all)
        opened.append(db)
        keys = Keys()
        service = MessageService(db, keys, wire, lambda: NOW)
        store = Store(name, keys, db, service)
        service.register("chat", lambda conn, message: store.seen.append(message.body["text"]))
        wire.peers[name] = service
        return store

    yield make
    for db in opened:
        db.close()


@pytest.fixture
def stores(make_store: Callable[[str], Store]) -> tuple[Store, Store]:
    return make_store("a"), make_store("b")
