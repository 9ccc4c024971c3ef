"""Homes with real keys, databases, blocks, catalogs, indexes and chain; only the sockets are missing."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from halle_node.backup import BackupService
from halle_node.backup.restoring import restore_home
from halle_node.blocks import BlockStore
from halle_node.catalog.product import ProductForm, VariantForm, WarrantyForm
from halle_node.catalog.profile import (
    EscrowForm,
    PaymentForm,
    ProfileForm,
    RateForm,
    ServiceForm,
    ShippingForm,
    ZoneForm,
)
from halle_node.catalog.service import CatalogService
from halle_node.chain.chain import Chain
from halle_node.config import Config
from halle_node.db import open_database
from halle_node.index.service import IndexService
from halle_node.keys import Keys
from halle_node.messages import MessageService
from halle_node.trade.reputation import ReviewJudge
from halle_node.trade.room import Rules
from halle_node.trade.service import TradeService
from halle_node.trade.views import Address, CheckoutForm, OrderDetail
from halle_protocol.errors import Unavailable
from halle_protocol.money import Money

HOUR_S = 3_600
HOME_ADDRESS = Address("Noé Blanc", "3 rue du Port", "Brest", "29200", "FR")
ROUNDS = 60


class Hall:
    """The homes of one test and the wire between them."""

    def __init__(self, folder: Path, rpc_url: str) -> None:
        self.folder = folder
        self.rpc_urls = [rpc_url]
        self.homes: dict[str, Home] = {}
        self.away: set[str] = set()
        self.tamper: Callable[[bytes], bytes] | None = None
        self.copies = 1

    async def home(self, name: str, **rules: Any) -> Home:
        """Make a home and connect it."""
        keys, phrase = Keys.create(self.folder / name, scrypt_n=2)
        home = Home(self, name, keys, Rules(**rules), phrase)
        await home.open()
        self.homes[home.keys.grant.peer_id] = home
        return home

    async def deliver(self, peer_id: str, addrs: Sequence[str], envelope: bytes) -> None:
        home = self.homes[peer_id]
        if home.name in self.away:
            raise Unavailable("The peer is away.", code="peer-unreachable")
        for _ in range(self.copies):
            await home.messages.receive(envelope, "a peer")

    async def fetch(self, peer_id: str, addrs: Sequence[str], cids: Sequence[Any]) -> dict[Any, bytes]:
        return {cid: home.blocks.get(cid) for home in self.homes.values() for cid in cids if home.blocks.has(cid)}

    async def close(self) -> None:
        for home in self.homes.values():
            await home.close()


class Home:
    """One node without sockets."""

    def __init__(self, hall: Hall, name: str, keys: Keys, rules: Rules, phrase: str) -> None:
        self.hall, self.name, self.keys, self.rules, self.phrase = hall, name, keys, rules, phrase
        self.is_replaced = False
        self.config = Config(home=hall.folder / name, name=name, country="FR", currency="EUR")
        self.clock: Callable[[], int] = lambda: int(time.time())

    async def open(self) -> None:
        home, clock = self.config.home, self.clock
        self.db = open_database(home / "halle.db")
        self.blocks = BlockStore(home / "blocks")
        self.chain = Chain(self.db, self._key, clock, rpc_urls=self.hall.rpc_urls, embedded_folder=home / "chain")
        await self.chain.start()
        self.catalog = CatalogService(self.config, self.db, self.blocks, self.keys, clock)
        judge = ReviewJudge(self.db, self.chain)
        self.index = IndexService(self.config, self.db, self.blocks, self.hall.fetch, clock, verify_review=judge)
        self.messages = MessageService(self.db, self.keys, self.hall, clock)
        self.trade = TradeService(
            self.config,
            self.db,
            self.keys,
            self.catalog,
            self.index,
            self.messages,
            self.chain,
            clock,
            blocks=self.blocks,
            whereabouts=lambda: ["/ip4/127.0.0.1/tcp/1"],
            fetch=self.hall.fetch,
            is_replaced=lambda: self.is_replaced,
            rules=self.rules,
        )

    async def close(self) -> None:
        await self.chain.close()
        await self.catalog.close()
        await self.index.close()
        self.blocks.close()
        self.db.close()

    async def reopen(self) -> None:
        """Stop as a crash would (nothing is flushed or sent) and start again on the same folder."""
        await self.close()
        self.keys = Keys.open(self.config.home)
        await self.open()

    async def back_up(self) -> Path:
        """Make a back-up; return its file."""
        service, file = BackupService(self.config.home, self.db, self.blocks, self.keys, self.clock), self.file
        service.start(file)
        while service.state().state in ("packing", "checking"):
            await asyncio.sleep(0.01)
        assert service.state().state == "done"
        return file

    @property
    def file(self) -> Path:
        return self.hall.folder / f"{self.name}.halle"

    async def come_back(self) -> None:
        """Lose the folder, restore it from the back-up and open it."""
        await self.close()
        shutil.rmtree(self.config.home)
        restore_home(Config(home=self.config.home, scrypt_n=2), self.phrase, file=self.file)
        self.keys = Keys.open(self.config.home)
        await self.open()
        self.chain.outbox.restored_at = int(time.time())

    def _key(self, address: bytes) -> bytes:
        is_operator = address == self.keys.operator_address
        return self.keys.operator_private if is_operator else self.keys.store_private

    @property
    def address(self) -> bytes:
        return self.keys.store_address

    async def fund_wallet(self) -> None:
        await self.chain.dev_faucet(self.address)
        await self.chain.dev_faucet(self.keys.operator_address)

    async def open_shop(self, *products: ProductForm, terms: EscrowForm | None = None) -> None:
        """Publish a profile, delivery to everywhere, and products."""
        contracts, chain_id = self.chain.contracts, self.chain.client.chain_id
        payment = tuple(
            PaymentForm(chain_id, contracts.escrow, address, symbol, decimals, "EUR")
            for symbol, (address, decimals) in contracts.tokens.items()
        )
        profile = ProfileForm(
            name=self.name,
            peer_id=self.keys.grant.peer_id,
            addrs=("/ip4/127.0.0.1/tcp/1",),
            payment=payment,
            terms=terms or EscrowForm(),
        )
        await self.catalog.save_profile(profile)
        rate = RateForm("post", {"en": "Post"}, Money(490, "EUR"))
        await self.catalog.save_shipping(ShippingForm((ZoneForm(("*",), (rate,)),)))
        for product in products:
            await self.catalog.save_product(product)
        await self.publish()

    async def serve(self, role: str, fee_bps: int = 200, **form: Any) -> None:
        """Offer a role to the whole hall."""
        profile = ProfileForm(name=self.name, peer_id=self.keys.grant.peer_id, addrs=("/ip4/127.0.0.1/tcp/1",))
        await self.catalog.save_profile(profile)
        await self.trade.services.offer(role, ServiceForm(fee_bps=fee_bps, **form), f"I work as {role}.")
        await self.publish()

    async def publish(self) -> None:
        published = await self.catalog.publish()
        for home in self.hall.homes.values():
            await home.index.ingest_head(published.announcement, self.keys.grant.peer_id)

    async def buy(self, shop: Home, handle: str = "shirt", quantity: int = 1, **form: Any) -> str:
        """Send a request for one product."""
        await self.trade.cart_add(shop.address, handle, "", quantity)
        checkout = {"name": "Noé Blanc", "email": "noe@example.org", "address": HOME_ADDRESS, "rate_id": "post"} | form
        return await self.trade.request_quote(CheckoutForm(store="0x" + shop.address.hex(), **checkout))

    async def work(self) -> int:
        """Do everything the background tasks would do now; return how much there was."""
        self.messages.hasten()
        done = await self.messages.deliver_due()
        done += await self.chain.outbox.step()
        while await self.chain.watcher.step():
            done += 1
        await self.trade.work_once()
        return done


async def settle(*homes: Home) -> None:
    """Let all homes work until nothing is left to do."""
    quiet = 0
    for _ in range(ROUNDS):
        done = [await home.work() for home in homes]
        waiting = [row for home in homes for row in home.messages.outgoing() if row.state == "queued"]
        untried = any(row.attempts == 0 for row in waiting)
        quiet = quiet + 1 if not untried and sum(done) <= len(waiting) else 0
        if quiet >= 2:
            return
    raise AssertionError("the homes do not come to rest")


def shirt(**changes: Any) -> ProductForm:
    """A product with ten pieces."""
    on_hand = changes.pop("on_hand", 10)
    variant = VariantForm(price=Money(2_500, "EUR"), sku="S-1", weight_g=200, on_hand=on_hand)
    fields = {
        "title": "Shirt",
        "handle": "shirt",
        "variants": (variant,),
        "delivery_proof": "code",
        "warranty": WarrantyForm(days=365),
    }
    return ProductForm(**fields | changes)


def names(order: OrderDetail) -> set[str]:
    return {action.name for action in order.next_actions}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0)
