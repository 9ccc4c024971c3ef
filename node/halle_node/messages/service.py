"""Send sealed messages until they are acknowledged; take received ones in, then acknowledge.

Rule: an acknowledgement is sent only after the message is committed and processed, and a message of ours is
dropped only after one was received or the far side refused it for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Protocol

from sqlalchemy import Connection

from halle_node.db import Database
from halle_node.messages import inbox, outbox
from halle_node.messages.collector import Carrier, Collector
from halle_node.messages.courier import Courier, Deliverer, Directory, Poster
from halle_node.messages.inbox import Handler, Inbox, RefusalHook
from halle_node.messages.route import Destination, Route
from halle_node.messages.views import (
    InboundCounts,
    MailboxState,
    OutgoingCounts,
    OutgoingMessage,
    PoisonedMessage,
)
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.grant import Grant
from halle_protocol.mailbox import PROCESSED, acknowledge, prove_collector
from halle_protocol.messages import Message
from halle_protocol.sealing import MAX_ENVELOPE_BYTES, Envelope, Prekey, open_envelope

Gate = Callable[[bytes, bytes], bool]
ConfirmGrant = Callable[[Grant], Awaitable[Grant]]
"""Asks the chain about the grant of a contract account (halle_node.chain.AccountSignatures.confirm)."""


class KeyRing(Protocol):
    """The part of the keys this room needs."""

    @property
    def store_address(self) -> bytes:
        """The address messages to us are sealed for."""

    @property
    def operator_private(self) -> bytes:
        """The key that signs what is said about envelopes."""

    @property
    def grant(self) -> Grant | None:
        """What lets that key speak for the store; None when it is the store's own."""

    def prekey_private(self, prekey_id: str, /) -> tuple[bytes, str]:
        """Return the private half and its suite, or raise Refused prekey-unknown."""


class Carriage(Deliverer, Carrier, Protocol):
    """The network as this room needs it."""


class MessageService:
    """Outbox and inbox of one store."""

    def __init__(
        self,
        db: Database,
        keys: KeyRing,
        network: Carriage,
        clock: Callable[[], int],
        *,
        directory: Directory | None = None,
        confirm_grant: ConfirmGrant | None = None,
        poster: Poster | None = None,
        mailboxes: Callable[[], Sequence[str]] = tuple,
        min_sequence: Callable[[bytes], int] = lambda store: 0,
    ) -> None:
        """Join the parts. `mailboxes` names ours, `min_sequence` the highest grant sequence known of a store."""
        self._db = db
        self._keys = keys
        self._clock = clock
        self._confirm_grant = confirm_grant
        self._inbox = Inbox(clock)
        self._is_welcome: Gate = lambda sender, thread: True
        self._courier = Courier(db, network, clock, directory, poster, min_sequence)
        self._collector = Collector(network, keys.store_address, mailboxes, self._prove, self.take, clock)

    def register(self, type_prefix: str, handler: Handler) -> None:
        """Let `handler(conn, message)` process received messages of these types, in the storing transaction."""
        self._inbox.register(type_prefix, handler)

    def on_refusal(self, hook: RefusalHook) -> None:
        """Call `hook(conn, message, error)` in the transaction that sets a received message aside."""
        self._inbox.on_refusal(hook)

    def use_directory(self, directory: Directory) -> None:
        """Ask `directory` for a recipient's newest route and prekey before each attempt."""
        self._courier.directory = directory

    def send(self, conn: Connection, message: Message, to_prekey: Prekey, route: Route) -> None:
        """Queue a signed message in the caller's transaction; it leaves when that commits.

        Raises: Refused outbox-full.
        """
        outbox.add(conn, message, Destination(route, to_prekey), self._clock())
        self._courier.notify()

    def replay(self, conn: Connection, thread: bytes) -> int:
        """Process the parked messages of `thread`, now that its order is known; return how many."""
        return self._inbox.replay(conn, thread)

    async def receive(self, envelope: bytes, from_peer: str = "") -> None:
        """Open, verify, store and process one envelope; return only when all of it is committed.

        Raises: RemoteProtocolError, Refused (prekey-unknown, …) for good; Unavailable to be sent again.
        """
        try:
            message = await self._open(envelope)
        except Unavailable:
            raise  # the chain is silent: nothing is known of the message yet
        except HalleError as error:
            reason = error
            await self._db.write(lambda conn: inbox.poison(conn, envelope, from_peer, reason, self._clock()))
            raise
        if not self._is_welcome(message.sender, message.thread):
            raise Refused("This store takes no messages from you.", code="sender-blocked")
        verdict = await self._db.write(lambda conn: self._inbox.accept(conn, message))
        if verdict is not None:
            raise verdict
        self.hasten(message.sender)

    def use_gate(self, is_welcome: Gate) -> None:
        """Ask `is_welcome(sender, thread)` before a message is taken in."""
        self._is_welcome = is_welcome

    async def take(self, envelope: bytes, from_peer: str = "") -> bytes:
        """Receive one envelope and return our signed word about it, for whoever stands between.

        Raises: Unavailable to be sent again.
        """
        outcome = PROCESSED
        try:
            await self.receive(envelope, from_peer)
        except Unavailable:
            raise
        except HalleError as error:
            outcome = error.code
        digest, keys = sha256(envelope).digest(), self._keys
        made = acknowledge(
            keys.operator_private, store=keys.store_address, envelope=digest, outcome=outcome, grant=keys.grant
        )
        return made.encode()

    def _prove(self, nonce: bytes, mailbox: str, collector: str) -> bytes:
        """Answer a mailbox's challenge. Called in the network's thread."""
        keys = self._keys
        return prove_collector(
            keys.operator_private,
            store=keys.store_address,
            mailbox=mailbox,
            collector=collector,
            nonce=nonce,
            grant=keys.grant,
        )

    async def collect(self) -> int:
        """Visit our mailboxes now; return how many envelopes were taken in."""
        return await self._collector.collect_all()

    def visit_mailboxes(self) -> None:
        """Have our mailboxes visited soon."""
        self._collector.hurry()

    def mailboxes(self) -> list[MailboxState]:
        """Return our mailboxes and how the last visit to each went."""
        return self._collector.states()

    def hasten(self, recipient: bytes | None = None) -> None:
        """Retry waiting messages now (all, or one recipient's): somebody was heard from."""
        self._courier.notify(recipient, hurry=True)

    async def deliver_due(self) -> int:
        """Try every message that is due once; return how many were tried."""
        return await self._courier.deliver_due()

    async def run(self) -> None:
        """Deliver and collect for as long as the node runs."""
        await self._db.write(lambda conn: outbox.forget_old(conn, self._clock()))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._courier.run())
            tasks.create_task(self._collector.run())

    def outgoing(self, thread: bytes | None = None, limit: int = 200) -> list[OutgoingMessage]:
        """Return our messages, newest first."""
        return self._db.read(lambda conn: outbox.listing(conn, thread, limit))

    def waiting(self, limit: int = 200) -> list[OutgoingMessage]:
        """Return our messages that nobody has processed yet or that were refused, newest first."""
        return self._db.read(lambda conn: outbox.listing(conn, None, limit, (outbox.QUEUED, outbox.REFUSED)))

    async def retry_quarantined(self, sender: str, message_id: str) -> None:
        """Process a message again that was set aside, named as `quarantine` names it.

        Raises: Refused message-unknown; what is still wrong with it.
        """
        trouble = await self._db.write(lambda conn: self._inbox.retry(conn, sender, message_id))
        if trouble is not None:
            raise trouble

    def quarantine(self, limit: int = 200) -> list[PoisonedMessage]:
        """Return what was received and could not be used, newest first."""
        return self._db.read(lambda conn: inbox.quarantine(conn, limit))

    def outgoing_counts(self) -> OutgoingCounts:
        """Count our messages by state."""
        return self._db.read(outbox.counts)

    def inbound_counts(self) -> InboundCounts:
        """Count received messages by state."""
        return self._db.read(inbox.counts)

    async def _open(self, data: bytes) -> Message:
        if len(data) > MAX_ENVELOPE_BYTES:
            raise RemoteProtocolError(
                f"The envelope has {len(data)} bytes; {MAX_ENVELOPE_BYTES} are allowed.",
                code="envelope-too-large",
            )
        envelope = Envelope.decode(data)
        me = self._keys.store_address
        if envelope.to != me:
            raise RemoteProtocolError("The envelope is for another store.", code="envelope-misaddressed")
        private, suite = self._keys.prekey_private(envelope.prekey_id)
        message = Message.decode(open_envelope(envelope, private, suite))
        try:
            message.verify(to=me, now=self._clock())
        except RemoteProtocolError as error:
            if error.code != "needs-chain" or message.grant is None or self._confirm_grant is None:
                raise
            await self._confirm_grant(message.grant)
            message = message.confirm_grant()
            message.verify(to=me, now=self._clock())
        return message
