"""A node: builds its parts once, starts them in order of need, closes them in reverse.

Rule: no part knows the node; each is handed what it needs. What must happen when one part moves another (a publish
is announced, a head that was heard is indexed) is wired here and nowhere else; the file is long for that reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from itertools import chain, repeat
from types import TracebackType

from sqlalchemy import Connection

from halle_node.access import AccessList
from halle_node.backup import BackupService
from halle_node.blocks import BlockStore, Sweep
from halle_node.blocks.kubo import Source, make_publisher
from halle_node.blocks.offer import Offer
from halle_node.catalog import CatalogService
from halle_node.catalog.naming import Naming
from halle_node.catalog.profile import PaymentForm, RateForm, ShippingForm, ZoneForm
from halle_node.catalog.report import Published
from halle_node.catalog.site import SiteRenderer
from halle_node.chain.bonds import bonded
from halle_node.chain.chain import Chain
from halle_node.chain.records import Depths
from halle_node.comeback import Comeback
from halle_node.config import Config, paths
from halle_node.db import open_database
from halle_node.doctor import Check, examine
from halle_node.home import HomeLock
from halle_node.index import IndexService
from halle_node.keeping import Kept, kept_content
from halle_node.keys import Keys
from halle_node.messages import Mailbox, MessageService, Quotas, ShopPost
from halle_node.notify import NotifyService
from halle_node.notify.service import Writer
from halle_node.outward import is_any, is_public
from halle_node.p2p import Network, NetworkConfig, Verdict
from halle_node.p2p.keepers import keepers, tellable
from halle_node.trade.reputation import ReviewJudge
from halle_node.trade.service import TradeService
from halle_protocol import catalog as tree
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError, Refused, Unavailable
from halle_protocol.head import Head
from halle_protocol.keys import to_checksum
from halle_protocol.money import Money
from halle_protocol.reconcile import ItemSet

log = logging.getLogger(__name__)

REANNOUNCE_S = 600
# Gossip reaches only who is in the mesh, and a mesh needs some heartbeats to form after the start.
FIRST_ANNOUNCEMENTS_S = (1, 2, 4, 8, 15, 30, 60)
UPKEEP_S = 3600
RENEW_GRANT_S = 90 * 86_400
JUDGE_REVIEWS_S = 2
LOOK_AGAIN_S = 0.5
# An announced prekey may have sealed what lies in a mailbox for a while yet.
KEEP_PREKEYS_S = 14 * 86_400
# A new shop must be able to sell at once; the merchant changes these in the settings.
STARTER_RATE_MINOR = 500
# Catalogs of followed stores that the gateway gives away too; what it reaches is kept in memory.
MAX_FOLLOWED_OFFERED = 100


@dataclass(frozen=True)
class Verified:
    """What a full verification found: digests of damaged blocks, CIDs of pinned blocks that are absent."""

    checked: int
    corrupt: tuple[bytes, ...]
    missing: tuple[CID, ...]


class Node:
    """One store's node. `online=False` serves the local pages and commands without network and chain.

    With `site_renderer` each head names the shop as static pages; `mail_writer` finds the words of the owner's mail.
    """

    def __init__(
        self,
        config: Config,
        *,
        online: bool = True,
        clock: Callable[[], int] | None = None,
        site_renderer: SiteRenderer | None = None,
        mail_writer: Writer | None = None,
    ) -> None:
        self.config = config
        self.online = online
        self._site_renderer = site_renderer
        self._mail_writer = mail_writer
        self.clock = clock or _wall_clock
        self._lock = HomeLock(config)
        self._closing = AsyncExitStack()
        self._work: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self._met_peers = False

    async def __aenter__(self) -> Node:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Open the home and, online, join the network and the chain.

        Raises: Refused home-in-use; ConfigError; Unavailable. What was opened is closed again.
        """
        try:
            self._open()
            if self.online:
                await self._join()
                self._work = asyncio.create_task(self._run(), name="node")
        except BaseException:
            await self.close()
            raise

    def _open(self) -> None:
        where = paths(self.config)
        self._lock.take()
        self._closing.callback(self._lock.free)
        self.keys = Keys.open(self.config.home)
        self.db = open_database(where["database"])
        self._closing.callback(self.db.close)
        self.blocks = BlockStore(where["blocks"], max_bytes=self.config.disk_mb << 20)
        self._closing.callback(self.blocks.close)
        self.backup = BackupService(self.config.home, self.db, self.blocks, self.keys, self.clock)
        self._closing.push_async_callback(self.backup.close)
        self.comeback = Comeback(self.db, self.clock)
        self.chain = Chain(
            self.db,
            self._signing_key,
            self.clock,
            rpc_urls=self.config.rpc_url,
            chain_id=self.config.chain_id,
            embedded_port=self.config.chain_port,
            embedded_folder=where["chain"],
            depths=Depths(self.config.confirmations_safe, self.config.confirmations_final),
        )
        self.chain.outbox.restored_at = self.comeback.restored_at
        self.access = AccessList(self.db, self.clock, own={to_checksum(self.keys.store_address)})
        self.mailbox = Mailbox(
            self.db,
            self.clock,
            self._keeps_mail_of,
            _quotas(self.config),
            min_sequence=lambda store: self.index.min_grant_sequence(store),
        )
        desk = None if self.config.mailbox_for == "nobody" else self.mailbox
        self.network = Network(
            self._network_config(), self.keys.peer_private, self.blocks, _Ears(self), self.access, desk=desk
        )
        self.catalog = CatalogService(
            self.config, self.db, self.blocks, self.keys, self.clock, renderer=self._site_renderer
        )
        self._closing.push_async_callback(self.catalog.close)
        self.catalog.subscribe(self._published)
        self.catalog.note_restored(self.comeback.restored_at, lambda: self.comeback.is_looking)
        self.naming = Naming(self.db, self.keys.peer_private, self.clock)
        self.kubo = make_publisher(self.config, self._kubo_source())
        self._closing.push_async_callback(self.kubo.close)
        self.index = IndexService(
            self.config,
            self.db,
            self.blocks,
            self.network.fetch,
            self.clock,
            own_store=self.keys.store_address,
            verify_review=ReviewJudge(self.db, self.chain),
            grant_judge=self.chain.accounts,
            access=self.access,
            bonded=self._bonded,
        )
        self._closing.push_async_callback(self.index.close)
        self.offer = Offer(self.blocks, self._offered_roots)
        poster = ShopPost(allowed=is_any if self.config.private_shops else is_public)
        self._closing.push_async_callback(poster.close)
        self.messages = MessageService(
            self.db,
            self.keys,
            self.network,
            self.clock,
            confirm_grant=self.chain.accounts.confirm,
            poster=poster,
            mailboxes=lambda: self.catalog.profile().mailboxes,
            min_sequence=self.index.min_grant_sequence,
        )
        # A store that has news is up again, perhaps at another address: what waits for it goes out now.
        self.index.subscribe(self.messages.hasten)
        self.messages.use_gate(self._is_welcome)
        self.access.subscribe(self._access_changed)
        self.trade = TradeService(
            self.config,
            self.db,
            self.keys,
            self.catalog,
            self.index,
            self.messages,
            self.chain,
            self.clock,
            blocks=self.blocks,
            whereabouts=self._whereabouts,
            fetch=self.network.fetch,
            is_replaced=self.is_replaced,
            is_blocked=self.access.blocks_store,
        )
        self.notify = NotifyService(
            self.db, where["keys"], self.clock, writer=self._mail_writer, conditions=self._troubles
        )
        self.blocks.protect = lambda: [*self.catalog.kept(), *self.trade.kept()]

    async def _join(self) -> None:
        self._closing.push_async_callback(self.chain.close)
        # The two take about a second each and do not need one another.
        chain, network = asyncio.create_task(self.chain.start()), asyncio.create_task(self.network.start())
        self._closing.push_async_callback(self.network.close)
        done = await asyncio.gather(chain, network, return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        """Stop the work and close every part in reverse; twice is fine."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})
            self._work = None
        if self._chores:
            await asyncio.wait(self._chores)
        await self._closing.aclose()

    async def failed(self) -> None:
        """Return never; raise what ended the node's own work, if anything does."""
        assert self._work is not None
        await asyncio.shield(self._work)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.chain.run(), name="chain")
            tasks.create_task(self.index.run(), name="index")
            tasks.create_task(self._judge_reviews(), name="reviews")
            tasks.create_task(self.messages.run(), name="messages")
            tasks.create_task(self.trade.run(), name="trade")
            tasks.create_task(self._introduce(), name="introduce")
            tasks.create_task(self._upkeep(), name="upkeep")
            tasks.create_task(self.kubo.run(), name="kubo")
            tasks.create_task(self.notify.run(), name="notify")

    # --- what the faces ask of the whole node

    async def doctor(self) -> list[Check]:
        """Return what is well and what is not."""
        return await examine(self)

    async def verify_blocks(self) -> Verified:
        """Re-read every block from disk, compare it with its CID, and look for absent blocks of our own shop."""
        return await asyncio.to_thread(self._verify)

    def _verify(self) -> Verified:
        report = self.blocks.verify_all()
        published = self.catalog.current_head()
        holes = () if published is None else tuple(self._holes(published))
        return Verified(report.checked, report.corrupt, holes)

    def _holes(self, published: Published) -> Iterator[CID]:
        """Yield what our own shop lacks. A review's links lead into other shops, whose pictures need not be here."""
        if published.head.site is not None:
            yield from self.blocks.holes(published.head.site)
        for key, cid in tree.entries(published.catalog_root, self.blocks.get):
            if not key.startswith("review/"):
                yield from self.blocks.holes(cid)

    def is_replaced(self) -> bool:
        """Say whether another machine runs this store with a later grant; then this one only looks on."""
        return self.index.min_grant_sequence(self.keys.store_address) > self.keys.grant.sequence

    def metrics(self) -> bytes:
        """Return the figures of this node in Prometheus' text format. Reads the database: call in a worker thread."""
        from halle_node.metrics import exposition

        return exposition(self)

    async def pins(self) -> list[Kept]:
        """Return what is kept and why, the largest first."""
        return await asyncio.to_thread(kept_content, self)

    async def clean_up(self, *, apply: bool) -> Sweep:
        """Remove blocks that nothing needs, or only say how many there are."""
        return await asyncio.to_thread(self.blocks.gc, dry_run=not apply)

    # --- wiring

    def _offered_roots(self) -> list[CID]:
        followed = self.index.stores(followed=True, limit=MAX_FOLLOWED_OFFERED)
        return [*self.blocks.pins().values(), *(store.catalog for store in followed)]

    def _keeps_mail_of(self, store: bytes) -> bool:
        """Say whether a store has named this node as its mailbox, and we are willing."""
        view = self.index.store(store)
        if view is None or view.profile is None:
            return False
        willing = view.followed or self.config.mailbox_for == "anyone"
        return willing and any(mailbox.endswith(f"/p2p/{self.network.peer_id}") for mailbox in view.profile.mailboxes)

    def _signing_key(self, address: bytes) -> bytes:
        if address == self.keys.operator_address:
            return self.keys.operator_private
        if address == self.keys.store_address:
            return self.keys.store_private
        raise Refused(f"This node has no key for 0x{address.hex()}.", code="key-unknown")

    def _bonded(self, connection: Connection) -> set[bytes]:
        try:
            tokens = dict(self.chain.contracts.tokens.values())
        except HalleError:
            return set()  # the chain has not answered yet: asked again with the next look at ties
        return bonded(connection, tokens)

    def _is_welcome(self, sender: bytes, thread: bytes) -> bool:
        """A blocked store is heard only about the orders that it already has with us."""
        return not self.access.blocks_store(sender) or self.trade.has_thread(thread)

    async def _troubles(self) -> dict[str, bool]:
        """Say whether the chain or the network fails us now. A node that never met anybody is not in trouble."""
        try:
            await self.chain.client.time()
        except HalleError:
            silent = True
        else:
            silent = False
        peers = len(self.network.peers())
        self._met_peers = self._met_peers or peers > 0
        alone = not self.network.stats().running or (self._met_peers and not peers)
        return {"chain-trouble": silent, "network-trouble": alone}

    def _access_changed(self) -> None:
        self.network.apply_access()
        self._chores.add(task := asyncio.create_task(self.index.apply_access(), name="access"))
        task.add_done_callback(self._chores.discard)

    def _kubo_source(self) -> Source:
        def head() -> Head | None:
            published = self.catalog.current_head()
            return None if published is None else published.head

        return Source(self.blocks, self.keys.store_address, head, self.naming.point_to, self.clock)

    def _network_config(self) -> NetworkConfig:
        return NetworkConfig(
            listen_host=self.config.listen_host,
            listen_port=self.config.p2p_port,
            bootstrap=self.config.bootstrap,
            remembered_path=self.config.home / "peers.json",
            peer_exchange=self.config.peer_exchange,
            mdns=self.config.mdns,
            upnp=self.config.upnp,
            relays=self.config.relays,
            learn_relays=self.config.learn_relays,
            relay_service=self.config.relay_service,
            relay_reservations=self.config.relay_reservations,
            relay_circuits=self.config.relay_circuits,
            relay_circuit_mb=self.config.relay_circuit_mb,
            relay_circuit_s=self.config.relay_circuit_s,
            upload_kb_s=self.config.upload_kb_s,
        )

    async def _published(self, published: Published) -> None:
        """Index our own shop as anyone else would, and tell the hall."""
        if self.comeback.is_looking:  # the owner said to put this catalog first
            await self.comeback.stop_looking()
        await self.naming.point_to(published.head)
        await self.index.ingest_head(published.announcement, self.network.peer_id)
        await self.index.commit_search()  # whoever publishes looks at the shop next
        if self.online:
            self.kubo.nudge()
            await self._announce(published.announcement)

    async def _announce(self, frame: bytes) -> None:
        try:
            await self.network.announce(frame, self.keys.store_address)
        except Unavailable as error:
            log.info("the head is announced when the network is back: %s", error)

    async def _introduce(self) -> None:
        """Keep the profile's route and payment options true, publish when they changed, and repeat the head."""
        while self.comeback.is_looking:
            if not await self.comeback.look(self.catalog, len(self.network.peers())):
                await asyncio.sleep(LOOK_AGAIN_S)
        for wait_s in chain(FIRST_ANNOUNCEMENTS_S, repeat(REANNOUNCE_S)):
            try:
                await self._furnish()
                published = await self.catalog.publish(products=False)
                await self.naming.point_to(published.head)
                if not published.is_new:
                    await self._announce(published.announcement)
            except HalleError as error:
                log.warning("the shop could not be introduced: %s", error)
            # A place at a relay, or its loss, must be in the profile before anyone dials.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self.network.moved.wait()
            self.network.moved.clear()

    def _whereabouts(self) -> list[str]:
        """Addresses to tell others: those in the settings replace the ones listened on, not those at relays."""
        if not self.config.announce_addrs:
            return self.network.addrs
        return [*self.config.announce_addrs, *(addr for addr in self.network.addrs if "/p2p-circuit/" in addr)]

    async def _furnish(self) -> None:
        addrs = self._whereabouts()
        await self.catalog.set_route(self.network.peer_id, [*addrs, *self._keepers(addrs)])
        profile = self.catalog.profile()
        payment = profile.payment or self._payment_options(profile.currency)
        answers_within_s = self.trade.talks.answer_time() if profile.tell_answer_time else 0
        furnished = replace(profile, payment=payment, answers_within_s=answers_within_s)
        if furnished != profile:
            await self.catalog.save_profile(furnished)
        if not self.catalog.shipping().zones:
            await self.catalog.save_shipping(_starter_shipping(profile.country, profile.currency))

    def _keepers(self, addrs: Sequence[str]) -> list[str]:
        """Return where the shop can be read when we are away.

        A daemon that was not reached yet stays named as it was: a restart must not publish it away and back.
        """
        daemon = self.kubo.status()
        if daemon.addrs or daemon.state == "off":
            return tellable(daemon.addrs, addrs)
        return [addr for _, addr in keepers(self.network.peer_id, self.catalog.profile().addrs)]

    def _payment_options(self, currency: str) -> tuple[PaymentForm, ...]:
        contracts = self.chain.contracts
        return tuple(
            PaymentForm(self.chain.client.chain_id, contracts.escrow, address, symbol, decimals, currency)
            for symbol, (address, decimals) in contracts.tokens.items()
        )

    async def _judge_reviews(self) -> None:
        while True:
            await self.index.verify_reviews()
            await asyncio.sleep(JUDGE_REVIEWS_S)

    async def _upkeep(self) -> None:
        while True:
            await self.tend_keys()
            await self.mailbox.forget_expired()
            await asyncio.sleep(UPKEEP_S)

    async def tend_keys(self) -> None:
        """Make the prekey and the grant that are due, and destroy prekeys whose time is over."""
        now = self.clock()
        if self.keys.rotate_prekeys(now, self.config.prekey_days):
            await self._publish_keys(products=False)
        if gone := self.keys.destroy_prekeys(now - KEEP_PREKEYS_S):
            log.info("%d prekeys are destroyed, and with them what was sealed to them", len(gone))
        due = self.keys.grant.not_after - now < RENEW_GRANT_S
        # A replaced machine must not outrank the one that took its place.
        if due and not self.keys.locked and not self.is_replaced():
            self.keys.renew_grant(now)
            await self._publish_keys(products=True)

    async def _publish_keys(self, *, products: bool) -> None:
        try:
            await self.catalog.publish(products=products)
        except HalleError as error:  # replaced, or still looking for the last edition: the next publish tells
            log.info("new keys are not published yet: %s", error.code)


class _Ears:
    """What the network tells the node. `validate` runs in the network's thread."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def validate(self, frame: bytes, from_peer: str) -> Verdict:
        return self._node.index.validate(frame, from_peer)

    async def on_head(self, frame: bytes, from_peer: str) -> None:
        await self._node.index.on_head(frame, from_peer)

    async def on_message(self, envelope: bytes, from_peer: str) -> None:
        await self._node.messages.receive(envelope, from_peer)

    def head_items(self) -> ItemSet:
        return self._node.index.head_items()

    def head_frames(self, ids: Sequence[bytes]) -> list[bytes]:
        return self._node.index.head_frames(ids)


def _starter_shipping(country: str, currency: str) -> ShippingForm:
    rate = RateForm(id="standard", name={"en": "Standard", "fr": "Standard"}, price=Money(STARTER_RATE_MINOR, currency))
    return ShippingForm(zones=(ZoneForm(countries=(country,), rates=(rate,), name=country),))


def _quotas(config: Config) -> Quotas:
    return Quotas(
        total_bytes=config.mailbox_total_mb << 20,
        store_bytes=config.mailbox_store_kb << 10,
        sender_bytes=config.mailbox_sender_kb << 10,
        days=config.mailbox_days,
    )


def _wall_clock() -> int:
    return int(time.time())
