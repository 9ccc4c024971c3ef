"""A shop to look at: a real catalog with real blocks and signatures; scripted orders, peers and chain around it.

Pages are rendered from it in the tests of this folder; the system tests drive the pages over real nodes.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw
from stall_talks import Talks

from halle_node.access import AccessList
from halle_node.backup import BackupService
from halle_node.blocks import BlockStore, Sweep
from halle_node.blocks.kubo import KuboStatus
from halle_node.blocks.offer import Offer
from halle_node.catalog import (
    CatalogService,
    ProductForm,
    ProfileForm,
    RateForm,
    ShippingForm,
    VariantForm,
    WarrantyForm,
    ZoneForm,
)
from halle_node.catalog.naming import Naming
from halle_node.catalog.profile import LimitForm
from halle_node.chain import TxStatus
from halle_node.chain.chain import ChainHealth, ChainSummary, TokenBalance, Wallet
from halle_node.chain.endpoint import EndpointState
from halle_node.chain.watcher import Progress
from halle_node.config import Config
from halle_node.db import open_database
from halle_node.index.sync import SyncProgress
from halle_node.index.views import Facet, ListingHit, ListingView, ReviewView, SearchPage, StoreView
from halle_node.keeping import Kept
from halle_node.keys import Keys
from halle_node.messages import Mailbox, MessageService, Quotas
from halle_node.notify import NotifyService, notices
from halle_node.p2p.metering import UploadBudget
from halle_node.p2p.types import NetworkStats, PeerInfo, Reachability, Reached
from halle_node.trade import views as t
from halle_node.trade.rules import AcceptRules
from halle_protocol import catalog as catalogs
from halle_protocol import unixfs
from halle_protocol.cid import CID
from halle_protocol.documents import decode_document, parse_body
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.money import Money
from halle_storefront.mail import MailWriter
from halle_storefront.site import StaticShop

OTHER_STORE = "0x" + "7a" * 20
NOW = int(time.time())
DAY = 86_400


def picture(hue: tuple[int, int, int], shape: str = "circle") -> bytes:
    """A drawn product photo."""
    image = Image.new("RGB", (1000, 1000), (244, 236, 224))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 720, 1000, 1000), fill=(226, 212, 194))
    if shape == "circle":
        draw.ellipse((260, 240, 740, 760), fill=hue)
        draw.ellipse((330, 300, 470, 420), fill=tuple(min(255, c + 45) for c in hue))
    elif shape == "cup":
        draw.rounded_rectangle((300, 300, 640, 760), 60, fill=hue)
        draw.arc((580, 400, 780, 640), 260, 100, fill=hue, width=40)
    else:
        draw.polygon(
            [
                (330, 260),
                (670, 260),
                (820, 420),
                (720, 500),
                (670, 440),
                (670, 800),
                (330, 800),
                (330, 440),
                (280, 500),
                (180, 420),
            ],
            fill=hue,
        )
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    return out.getvalue()


def eur(text: str) -> Money:
    units, _, cents = text.partition(".")
    return Money(int(units) * 100 + int((cents + "00")[:2]), "EUR")


def products() -> list[tuple[ProductForm, list[tuple[bytes, str]]]]:
    sizes = ("S", "M", "L")
    shirt = ProductForm(
        title="Chemise en lin bleue",
        description="Tissée à Roubaix, cousue à l'atelier.\n\n"
        "- **Lin** français\n- Boutons de nacre\n- Lavage à 30°\n\nElle se froisse, et *c'est bien ainsi*.",
        handle="chemise-bleue",
        options=("Taille",),
        variants=tuple(
            VariantForm(price=eur("89.00"), sku=f"CB-{size}", options={"Taille": size}, on_hand=stock, weight_g=310)
            for size, stock in zip(sizes, (4, 12, 0), strict=True)
        ),
        vendor="Atelier Camille",
        product_type="Chemises",
        tags=("lin", "été"),
        warranty=WarrantyForm(days=365),
        delivery_proof="code",
        language="fr",
    )
    plain = [
        ("Bol en grès", "bol-gres", "24.50", 2, "circle", (120, 140, 120)),
        ("Tasse haute, émail miel", "tasse-miel", "19.00", 31, "cup", (198, 138, 62)),
        (
            "Écharpe tissée main, laine des Pyrénées, très longue et très douce",
            "echarpe",
            "64.00",
            8,
            "shirt",
            (150, 70, 60),
        ),
        ("Vase boule", "vase-boule", "48.00", 5, "circle", (70, 90, 130)),
    ]
    found = [
        (
            shirt,
            [
                (picture((74, 108, 160), "shirt"), "Chemise bleue posée à plat"),
                (picture((60, 90, 140), "circle"), "Le bouton de nacre"),
            ],
        )
    ]
    for title, handle, price, stock, shape, hue in plain:
        form = ProductForm(
            title=title,
            handle=handle,
            description="Fait main, une pièce à la fois.",
            language="fr",
            variants=(VariantForm(price=eur(price), sku=handle, on_hand=stock, weight_g=400),),
            vendor="Atelier Camille",
        )
        found.append((form, [(picture(hue, shape), title)]))
    return found


class Shelf:
    """The index over our own published catalog."""

    def __init__(self, stall: Stall) -> None:
        self.stall = stall
        self.followed: set[bytes] = set()

    async def media(self, cid: CID, *, max_bytes: int) -> bytes:
        return unixfs.read_file(cid, self.stall.blocks.get, max_bytes=max_bytes)

    def _listings(self) -> dict[str, ListingView]:
        head = self.stall.catalog.current_head()
        if head is None:
            return {}
        get = self.stall.blocks.get
        store = self.store(self.stall.keys.store_address)
        found = {}
        for key, cid in catalogs.entries(head.catalog_root, get, "listing/"):
            doc = decode_document(get(cid))
            listing = parse_body(doc)
            handle = key.removeprefix("listing/")
            reviews = self.stall.reviews if handle == "chemise-bleue" else ()
            found[handle] = ListingView(
                store=self.stall.keys.store_address,
                handle=handle,
                cid=cid,
                listing=listing,
                doc=doc,
                store_name=store.name,
                store_profile=store.profile,
                reviews=tuple(reviews),
                rating_tenths=45 if reviews else None,
                review_count=len(reviews),
            )
        return found

    def search(
        self, text: str, *, locale: str, facets: Mapping[str, Any], sort: str, offset: int, limit: int
    ) -> SearchPage:
        hits = []
        for view in self._listings().values():
            title = view.listing.title.get(locale)
            if text.lower() not in title.lower():
                continue
            prices = sorted(variant.price.money for variant in view.listing.variants)
            media = view.listing.media[0] if view.listing.media else None
            hits.append(
                ListingHit(
                    store=view.store,
                    store_name=view.store_name,
                    handle=view.handle,
                    cid=view.cid,
                    title=title,
                    summary="",
                    price=prices[0],
                    price_max=prices[-1],
                    availability=view.listing.variants[0].availability,
                    kind=view.listing.kind,
                    thumb=media.thumb if media else None,
                    country="FR",
                    rating_tenths=view.rating_tenths,
                    review_count=view.review_count,
                    updated_at=NOW,
                )
            )
        facet = {
            "kind": (Facet("physical", 4), Facet("digital", 1)),
            "store": (Facet(self.stall.keys.store_address.hex(), 5),),
        }
        return SearchPage(tuple(hits[offset : offset + limit]), len(hits), offset, limit, facet if hits else {})

    def listing(self, store: bytes, handle: str) -> ListingView | None:
        return self._listings().get(handle) if store == self.stall.keys.store_address else None

    def progress(self) -> dict[bytes, SyncProgress]:
        """The other shop is being fetched."""
        return {bytes.fromhex(OTHER_STORE[2:]): SyncProgress(400, 1_000)}

    def stores(self) -> list[StoreView]:
        found = self.store(self.stall.keys.store_address)
        return [found] if found else []

    def store(self, store: bytes) -> StoreView | None:
        head = self.stall.catalog.current_head()
        if head is None or store != self.stall.keys.store_address:
            return None
        get = self.stall.blocks.get
        profile = parse_body(decode_document(get(catalogs.lookup(head.catalog_root, "profile/store", get))))
        return StoreView(
            store=store,
            name=profile.name,
            seq=head.head.seq,
            catalog=head.catalog_root,
            listing_count=5,
            followed=store in self.followed,
            equivocates=False,
            updated_at=NOW,
            country=profile.country,
            currency=profile.currency,
            profile=profile,
            peer_id="16Uiu2HAmTest",
            addrs=(),
            rating_tenths=45,
            review_count=2,
            own=False,
        )

    async def follow(self, store: bytes) -> None:
        self.followed.add(store)

    async def unfollow(self, store: bytes) -> None:
        self.followed.discard(store)


@dataclass
class Counter:
    """The trade room, scripted: it shows what it was given and notes what it was asked to do."""

    detail: dict[str, t.OrderDetail] = field(default_factory=dict)
    basket: t.CartView = field(default_factory=lambda: t.CartView((), 0))
    done: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    waiting: t.Todo = field(default_factory=t.Todo)

    rules: AcceptRules = field(default_factory=AcceptRules)
    papers: tuple[t.CertificateCard, ...] = ()
    insured: tuple[t.CoverCard, ...] = ()
    talks: Talks = field(default_factory=Talks)

    @property
    def services(self) -> Counter:
        return self

    @property
    def carrying(self) -> Counter:
        return self

    @property
    def digital(self) -> Counter:
        return self

    @property
    def insuring(self) -> Counter:
        return self

    @property
    def covering(self) -> Counter:
        return self

    @property
    def bonding(self) -> Counter:
        return self

    def offers(self, role: str) -> list[t.ServiceView]:
        record = {"arbiter": {"disputes": 12, "ruled": 11, "silent": 1}, "carrier": {"parcels": 40, "delivered": 39}}
        address = "0x" + {"arbiter": "a1", "carrier": "c2", "underwriter": "d3"}[role] * 20
        return [t.ServiceView(address, "Judith", role, "", "", 300, 7 * DAY, ("fr",), (), record.get(role, {}), DAY)]

    def limits_of(self, most: Mapping[str, int]) -> tuple[LimitForm, ...]:
        return tuple(LimitForm(31337, b"\x70" * 20, units) for units in most.values())

    def covers(self, role: str | None = None, order_key: str = "") -> list[t.CoverCard]:
        return [cover for cover in self.insured if cover.role == role and order_key in ("", cover.order_key)]

    def cover(self, key: str) -> t.CoverCard:
        return next(cover for cover in self.insured if cover.key == key)

    def choices(self, order_key: str) -> list[t.CoverChoice]:
        if not self.order(order_key).certificates:
            return []
        price = t.CoverPrice(0, "Chemise en lin bleue", 89 * 10**18, 356 * 10**16)
        facts = {"certificates": 31, "claims": 4, "paid": 4}
        return [
            t.CoverChoice("0x" + "d3" * 20, "Mutuelle des Canuts", 400, 730, 7 * DAY, facts, "hEUR", 18, (price,)),
            t.CoverChoice("0x" + "d4" * 20, "", 900, 365, 2 * DAY, {}, "hEUR", 18, (price,)),
        ]

    async def bonds(self) -> list[t.BondView]:
        return [t.BondView(b"\x70" * 20, "hEUR", 18, 500 * 10**18, 178 * 10**18, 125 * 10**18)]

    async def deposit(self, token: bytes, amount: int) -> None:
        self.done.append(("bond", "deposit", {"amount": amount}))

    async def ask(self, order_key: str, underwriter: str, **form: Any) -> str:
        self.done.append((order_key, "ask_cover", {"underwriter": underwriter} | form))
        return self.insured[0].key

    async def buy(self, key: str, premium: int) -> None:
        self.done.append((key, "buy", {"premium": premium}))

    async def decline(self, key: str, note: str = "") -> None:
        self.done.append((key, "decline", {"note": note}))

    async def offer(self, role: str, form: Any = None, terms: str = "", **cover: Any) -> None:
        if form is None:
            self.done.append((role, "offer", cover))
            return
        if not terms:
            raise Refused("No terms.", code="role-terms-missing", hint="Write some.")
        self.done.append((role, "offer", {"fee_bps": form.fee_bps, "terms": terms}))

    async def choose(self, **named: str) -> None:
        self.done.append(("parties", "choose", dict(named)))

    def parcels(self) -> list[t.ParcelView]:
        address = t.Address("Noé Lambert", "12 rue des Longues-Haies", "Roubaix", "59100", "FR")
        return [t.ParcelView("0x" + "b4" * 32, OTHER_STORE, "M1", 1, "", address, NOW, "in-transit", NOW)]

    async def attest(self, shipment: str, status: str, place: str, text: str) -> None:
        self.done.append((shipment, "attest", {"status": status, "place": place}))

    def accept_rules(self) -> AcceptRules:
        return self.rules

    async def set_accept_rules(self, rules: AcceptRules) -> None:
        self.rules = rules

    def shelf(self, handle: str) -> list[t.DigitalGood]:
        return [t.DigitalGood(0, "", "licence", "", 12, 3), t.DigitalGood(4, "", "file", "police.otf", 1, 3)]

    async def add_licences(self, handle: str, sku: str, keys: list[str], resends: int) -> int:
        self.done.append((handle, "licences", {"keys": keys, "resends": resends}))
        return len(keys)

    def certificates(self, role: str = "") -> list[t.CertificateCard]:
        return [paper for paper in self.papers if role in ("", paper.role)]

    def certificate(self, name: str) -> t.CertificateCard:
        return next(paper for paper in self.papers if paper.name == name)

    async def file(self, order_key: str, file_id: str) -> tuple[str, str, bytes]:
        self.order(order_key)
        if file_id == "page":
            return "evil.html", "text/html", b"<script>alert(1)</script>"
        if file_id == "liar":
            return "x.webp", "image/webp", b"<script>alert(1)</script>"
        return "photo.webp", "image/webp", b"RIFF....WEBP"

    def cart(self) -> t.CartView:
        return self.basket

    async def cart_add(self, store: str, handle: str, sku: str, quantity: int = 1) -> t.CartView:
        self.done.append(("cart", "add", {"handle": handle, "sku": sku, "quantity": quantity}))
        return self.basket

    async def cart_set(self, line_id: str, quantity: int) -> t.CartView:
        self.done.append(("cart", "set", {"line_id": line_id, "quantity": quantity}))
        return self.basket

    async def request_quote(self, form: t.CheckoutForm) -> str:
        if not form.rate_id:
            raise Refused("No delivery was chosen.", code="form-invalid", hint="Choose one.")
        self.done.append(("cart", "quote", {"form": form}))
        return next(key for key, order in self.detail.items() if order.summary.role == "buyer")

    def orders(
        self, role: str = "", view: str = "all", query: str = "", limit: int = 100, offset: int = 0
    ) -> list[t.OrderSummary]:
        found = [order.summary for order in self.detail.values() if order.summary.role == role or not role]
        return [each for each in found if view in ("all", "open") or each.status == "accepted"]

    def order(self, order_key: str) -> t.OrderDetail:
        if order_key not in self.detail:
            raise Refused("There is no such order.", code="order-unknown", hint="Look at the list.")
        return self.detail[order_key]

    def todo(self) -> t.Todo:
        return self.waiting

    async def act(self, order_key: str, action: str, **form: Any) -> None:
        if not order_key.startswith("certificate-"):
            self.order(order_key)
        self.done.append((order_key, action, form))

    async def erase_customer(self, who: str, *, apply: bool) -> None:
        self.done.append((who, "erase_customer", {"apply": apply}))

    def balance_sheet(self) -> list[t.BalanceRow]:
        return [
            t.BalanceRow(key, "", order.summary.role, order.status, "", "hEUR", 18, order.balance)
            for key, order in self.detail.items()
            if order.balance.total_in
        ]


class Wire:
    """The network, scripted."""

    peer_id = "16Uiu2HAmVQ5e6o3xTsb7sYqKvCwJj7dGk1N4pQzXhP3r"
    addrs = ("/ip4/127.0.0.1/tcp/4480/p2p/16Uiu2HAmVQ5e6o3xTsb7sYqKvCwJj7dGk1N4pQzXhP3r",)

    def __init__(self) -> None:
        self.announced: list[bytes] = []
        self.upload = UploadBudget(0)
        self.reach = Reachability(
            self.addrs,
            self.addrs,
            (Reached("/ip4/203.0.113.9/tcp/4480", 0, 2, NOW - 60),),
            {"/ip4/198.51.100.2/tcp/4480/p2p/16Uiu2HAm9Tq6bWcZ4nq8QJv2kA7eYd1LxP5rS3uVfNz": ""},
        )

    async def reachability(self) -> Reachability:
        return self.reach

    def peers(self) -> list[PeerInfo]:
        return [
            PeerInfo(
                "16Uiu2HAm9Tq6bWcZ4nq8QJv2kA7eYd1LxP5rS3uVfNz",
                "/ip4/127.0.0.1/tcp/4481",
                "inbound",
                NOW - 900,
                0.004,
                1.0,
                84_000_000,
                1_250_000,
            )
        ]

    def stats(self) -> NetworkStats:
        wire = {"wire_in": 84_200_000, "wire_out": 1_300_000, "rate_in": 52_000.0, "rate_out": 900.0}
        synced = {peer.peer_id: NOW - 60 for peer in self.peers()}
        return NetworkStats(True, 0, 1, 120_000, 90_000, 42, 7, {}, 3, NOW - 60, **wire, syncs_by_peer=synced)

    async def announce(self, frame: bytes) -> None:
        self.announced.append(frame)

    async def connect(self, multiaddr: str) -> str:
        if not multiaddr.startswith("/"):
            raise Refused("That is no address.", code="multiaddr-invalid", hint="It begins with /ip4/.")
        return "peer"

    async def sync_with(self, peer_id: str) -> int:
        return 0


class Sendings:
    """The transactions of the chain, scripted."""

    def __init__(self) -> None:
        self.nudged = 0
        self.rows = [
            TxStatus(7, "sent", "approve", b"", b"", 4, b"\xab" * 32, None, "tx-slow", "It is in no block after 62 s."),
            TxStatus(5, "failed", "claim", b"", b"", None, None, None, "reverted", "The contract refused: TooEarly."),
        ]

    def waiting(self) -> list[TxStatus]:
        return self.rows

    def nudge(self) -> None:
        self.nudged += 1


class ChainEnd:
    """The chain, scripted."""

    down = False
    shown = ChainHealth(Progress(1742, 1743, 1742), (EndpointState("127.0.0.1:8545", "asked", 1742, 0, 3, 0),))

    def __init__(self) -> None:
        self.outbox = Sendings()

    def health(self) -> ChainHealth:
        return self.shown

    def _answer(self) -> None:
        if self.down:
            raise Unavailable("The chain endpoint does not answer.", code="rpc-down", hint="Try again.")

    async def summary(self) -> ChainSummary:
        self._answer()
        return ChainSummary(
            "http://127.0.0.1:8545",
            31337,
            1742,
            NOW,
            True,
            "0x" + "E5" * 20,
            "0x" + "E6" * 20,
            "0x" + "E7" * 20,
            self.health(),
        )

    async def wallet(self, address: bytes) -> Wallet:
        self._answer()
        tokens = (
            TokenBalance("hEUR", "0x" + "70" * 20, 18, 12550 * 10**16, "125.50"),
            TokenBalance("hUSD", "0x" + "71" * 20, 6, 80_000_000, "80"),
        )
        return Wallet("0x" + address.hex(), 10**18 // 4, tokens, True)

    async def dev_faucet(self, _address: bytes) -> list[bytes]:
        self._answer()
        return [b"\xab" * 32]


class Keeper:
    """An IPFS daemon, scripted."""

    def __init__(self) -> None:
        self.shown = KuboStatus("off")

    def status(self) -> KuboStatus:
        return self.shown


@dataclass
class Stall:
    """A node as the pages see it."""

    config: Config
    keys: Keys
    blocks: BlockStore
    catalog: CatalogService
    db: Any
    offer: Offer
    naming: Naming
    reviews: tuple[ReviewView, ...] = ()
    network: Any = field(default_factory=Wire)
    kubo: Any = field(default_factory=Keeper)
    trade: Any = field(default_factory=Counter)
    clock: Any = time.time
    chain: Any = field(default_factory=ChainEnd)
    index: Any = None
    access: Any = None
    messages: Any = None
    mailbox: Any = None
    notify: Any = None
    backup: Any = None

    async def pins(self) -> list[Kept]:
        return [Kept("edition", "", pin.cid, pin.blocks, pin.bytes, pin.missing) for pin in self.blocks.pinned()] + [
            Kept("drafts", "", None, 3, 120_000, 0)
        ]

    async def clean_up(self, *, apply: bool) -> Sweep:
        return self.blocks.gc(dry_run=not apply)

    def metrics(self) -> bytes:
        return b""

    async def close(self) -> None:
        await self.catalog.close()
        self.blocks.close()
        self.db.close()


def make_stall(home: Path) -> Stall:
    """An empty shop."""
    config = Config(home=home, name="Atelier Camille", language="fr", local_port=0, shop_port=0, scrypt_n=2)
    keys, _ = Keys.create(home, scrypt_n=2)
    blocks, db = BlockStore(home / "blocks"), open_database(home / "halle.db")
    catalog = CatalogService(config, db, blocks, keys, lambda: NOW, renderer=StaticShop())
    offer = Offer(blocks, lambda: blocks.pins().values())
    stall = Stall(config, keys, blocks, catalog, db, offer, Naming(db, keys.peer_private, lambda: NOW))
    stall.index = Shelf(stall)
    stall.access = AccessList(stall.db, lambda: NOW)
    named = lambda: stall.catalog.profile().mailboxes  # noqa: E731
    stall.messages = MessageService(db, keys, stall.network, lambda: NOW, mailboxes=named)
    stall.notify = NotifyService(db, home / "keys", lambda: NOW, writer=MailWriter())
    stall.backup = BackupService(home, db, blocks, keys, lambda: NOW)
    stall.mailbox = Mailbox(db, lambda: NOW, lambda store: True, Quotas())
    return stall


async def fill(stall: Stall, *, photos: bool = True) -> Stall:
    """Products, photos, delivery, orders, reviews; published."""
    await stall.catalog.save_profile(
        ProfileForm(
            name="Atelier Camille",
            language="fr",
            languages=("fr", "en"),
            email="camille@example.org",
            country="FR",
            currency="EUR",
            about={
                "fr": "Du lin, du grès et de la patience. Tout est fait à Roubaix, dans un atelier ouvert sur la rue.",
                "en": "Linen, stoneware and patience. Everything is made in Roubaix.",
            },
            policies={"returns": {"fr": "Vous avez 30 jours pour changer d'avis."}},
        )
    )
    await stall.catalog.save_shipping(
        ShippingForm(
            (
                ZoneForm(
                    ("FR",),
                    (
                        RateForm(
                            "colissimo",
                            {"fr": "Colissimo"},
                            eur("6.90"),
                            free_over=eur("100.00"),
                            days_min=2,
                            days_max=3,
                        ),
                    ),
                ),
                ZoneForm(("*",), (RateForm("monde", {"fr": "Monde"}, eur("18.00"), days_min=5, days_max=12),)),
            )
        )
    )
    for form, pictures in products():
        await stall.catalog.save_product(form)
        for data, alt in pictures if photos else ():
            await stall.catalog.add_photo(form.handle, "photo.jpg", data, alt)
    await stall.catalog.publish()
    stall.reviews = reviews(stall.keys.store_address)
    stall.trade = orders()
    await stall.db.write(happened)
    return stall


def happened(conn: Any) -> None:
    """Some news."""
    facts = {"who": "Noé Lambert", "what": "Chemise en lin bleue"}
    notices.add(conn, "order-shipped", "f6" * 16, NOW - 2 * DAY, who="Atelier Camille", what="Chemise en lin bleue")
    notices.mark_read(conn, NOW)
    notices.add(conn, "order-to-pack", "a1" * 16, NOW - 3600, **facts)
    notices.add(conn, "question", "5a" * 16, NOW - 900, name="Noé Lambert")
    notices.add(conn, "sale-deadline", "a1" * 16, NOW - 600, until=NOW + DAY, **facts)
    notices.add(conn, "low-stock", "bol-gres", NOW - 300, left=2)


def reviews(store: bytes) -> tuple[ReviewView, ...]:
    shown = stall_cid()
    common = {"store": store, "handle": "chemise-bleue", "order_id": bytes(32), "chain_id": 31337, "cid": shown}
    return (
        ReviewView(
            author=b"\x01" * 20,
            author_name="Noé",
            rating=5,
            texts={"fr": "Magnifique, et le colis sentait la lavande."},
            fallback="fr",
            verified=True,
            issued=NOW - 3 * DAY,
            **common,
        ),
        ReviewView(
            author=b"\x02" * 20,
            author_name="",
            rating=4,
            texts={"en": "Runs a little large."},
            fallback="en",
            verified=False,
            issued=NOW - 9 * DAY,
            **common,
        ),
    )


def stall_cid() -> Any:
    from halle_protocol.cid import RAW, cid_of

    return cid_of(RAW, b"review")


TERMS_WORDS = (
    "Vous payez 95,90 hEUR dans l'escrow.",
    "Atelier Camille doit expédier dans les 5 jours, sinon vous reprenez votre argent.",
    "Après la livraison, vous avez 7 jours pour vérifier ; ensuite le marchand est payé.",
    "En cas de litige, l'arbitre 0x12…9f partage la somme ; sans décision, moitié-moitié.",
)


def an_order(key: str, role: t.Role, status: str, **changes: Any) -> t.OrderDetail:
    unit = 10**18
    total = 9590 * unit // 100
    paid = status not in ("requested", "quoted")
    axes = {
        "requested": ("unpaid", "unfulfilled"),
        "quoted": ("unpaid", "unfulfilled"),
        "accepted": ("escrowed", "in_progress"),
        "shipped": ("escrowed", "fulfilled"),
        "delivered": ("escrowed", "fulfilled"),
        "closed": ("released", "fulfilled"),
        "disputed": ("disputed", "on_hold"),
    }
    summary = t.OrderSummary(
        order_key=key,
        order_id="0x" + key * 2 if paid else "",
        role=role,
        status=status,
        payment=axes[status][0],
        fulfilment=axes[status][1],
        returns="none",
        store=OTHER_STORE,
        store_name="Atelier Camille",
        customer="Noé Lambert",
        title="Chemise en lin bleue",
        pieces=1,
        total=eur("95.90"),
        created_at=NOW - 2 * DAY,
        updated_at=NOW - 3600,
        deadline_at=NOW + 2 * DAY,
        next_actions=(),
    )
    base = t.OrderDetail(
        summary=summary,
        lines=(
            t.LineView(
                "1",
                OTHER_STORE,
                "chemise-bleue",
                "CB-M",
                "Chemise en lin bleue",
                {"Taille": "M"},
                1,
                eur("89.00"),
                eur("89.00"),
            ),
        ),
        subtotal=eur("89.00"),
        shipping=eur("6.90"),
        tax=Money(0, "EUR"),
        total=eur("95.90"),
        contact_name="Noé Lambert",
        contact_email="noe@example.org",
        address=t.Address(
            "Noé Lambert", "12 rue des Longues-Haies", "Roubaix", "59100", "FR", phone="+33 6 12 34 56 78"
        ),
        rate_name="Colissimo",
        note="Sonnez deux fois, s'il vous plaît.",
        quote=t.QuoteView(True, NOW + DAY, total, "hEUR", 18, eur("95.90"), TERMS_WORDS),
        terms_words=TERMS_WORDS,
        delivery_code="HALLE-7Q4M-K2VX-9D3P-TR8W" if role == "buyer" else "",
        balance=t.Balance(total, 0, 0, 0, total) if paid else t.Balance(),
        shipments=(),
        certificates=(),
        chat=(),
        timeline=(
            t.TimelineEntry(NOW - 2 * DAY, "message", "timeline.requested"),
            t.TimelineEntry(NOW - 2 * DAY + 60, "message", "timeline.quoted"),
            *(
                (
                    t.TimelineEntry(
                        NOW - 2 * DAY + 300,
                        "chain",
                        "timeline.funded",
                        {"amount": "95.90 hEUR"},
                        tx_hash="0x" + "9c" * 32,
                        block_number=1730,
                        finality="final",
                    ),
                )
                if paid
                else ()
            ),
        ),
        next_actions=(t.Action("chat", role),),
        transactions=(),
    )
    return replace(base, **changes)


def orders() -> Counter:
    A = t.Action
    pack = an_order(
        "a1" * 16,
        "merchant",
        "accepted",
        next_actions=(
            A("ship", "merchant", NOW + 2 * DAY, primary=True),
            A("refund", "merchant"),
            A("propose_settlement", "merchant"),
            A("dispute", "merchant"),
            A("chat", "merchant"),
        ),
        chat=(
            t.ChatLine(NOW - 7200, "buyer", "Bonjour, pouvez-vous ajouter un mot ?", True),
            t.ChatLine(NOW - 3600, "merchant", "Bien sûr, avec plaisir.", False),
        ),
    )
    ask = an_order(
        "b2" * 16,
        "merchant",
        "requested",
        next_actions=(A("accept", "merchant", NOW + DAY, primary=True), A("decline", "merchant")),
    )
    closed = an_order("c3" * 16, "merchant", "closed", next_actions=(A("issue_warranty", "merchant"),))
    dispute = an_order(
        "d4" * 16,
        "merchant",
        "disputed",
        next_actions=(A("refund", "merchant"), A("accept_settlement", "merchant", primary=True)),
        settlements=(t.SettlementView("buyer", 40 * 10**18, 5590 * 10**16, True, NOW),),
    )
    pay = an_order(
        "e5" * 16,
        "buyer",
        "quoted",
        next_actions=(A("approve", "buyer", NOW + DAY, primary=True), A("cancel", "buyer")),
    )
    altered = an_order(
        "7c" * 16,
        "buyer",
        "quoted",
        next_actions=(A("cancel", "buyer", primary=True),),
        quote=replace(pay.quote, mismatch=("amount", "arbiter", "inspect_within")),
        problem="quote-mismatch",
    )
    way = an_order(
        "f6" * 16,
        "buyer",
        "shipped",
        next_actions=(
            A("release", "buyer", primary=True),
            A("dispute", "buyer", NOW + 9 * DAY),
            A("propose_settlement", "buyer"),
        ),
        shipments=(
            t.ShipmentView("Colissimo", "6A1234567890", "https://example.org/track/6A1234567890", NOW - DAY, "0x00"),
        ),
    )
    done = an_order(
        "07" * 16,
        "buyer",
        "closed",
        next_actions=(A("review", "buyer"), A("open_warranty_claim", "buyer")),
        certificates=(t.CertificateView(1, 89 * 10**18, "hEUR", NOW - DAY, NOW + 364 * DAY, "active"),),
    )
    returning = an_order(
        "18" * 16,
        "merchant",
        "delivered",
        next_actions=(
            A("receive_return", "merchant", primary=True),
            A("send_again", "merchant"),
            A("send_deliverable", "merchant"),
            A("dispute", "merchant", NOW + DAY),
        ),
        shipments=(t.ShipmentView("Colissimo", "6A1", "", NOW - 3 * DAY, "0x00", {"CB-M": 1}),),
        checkpoints=(t.CheckpointView("failed-attempt", NOW - 2 * DAY, "Roubaix", "Personne à la maison"),),
        returning=t.ReturnView(
            "Trop petite", {"CB-M": 1}, {"CB-L": 1}, "12 rue des Arts, Roubaix", "La Poste R9", True,
            (t.FileView("ab-0", "photo 1", "image/webp", 900),),
        ),
        deliverables=(
            t.DeliverableView("Patron", "file", "CB-M", "", NOW, 2, t.FileView("cd-0", "patron.pdf", "", 90_000)),
            t.DeliverableView("Licence", "licence", "CB-M", "AAAA-BBBB", NOW, 2),
        ),
        chat=(t.ChatLine(NOW - 7200, "buyer", "Elle est trop petite.", True, "0a" * 16),),
    )  # fmt: skip
    case = an_order(
        "29" * 16,
        "arbiter",
        "disputed",
        next_actions=(A("rule", "arbiter", NOW + 5 * DAY, primary=True), A("ask_party", "arbiter")),
        bundles=(
            t.BundleView(
                "buyer",
                NOW - DAY,
                "La couture est ouverte.",
                {"terms": True, "document": True, "sides": True, "messages": True, "committed": True},
                (t.FileView("ef-0", "photo 1", "image/webp", 900),),
                7,
            ),
            t.BundleView("merchant", NOW, "", {"terms": True, "committed": False, "messages": False}, (), 6),
        ),
    )
    papers = tuple(
        t.CertificateCard(
            "certificate-" + digit * 64, role, status, 89 * 10**18, claimed, "hEUR", 18, NOW + 300 * DAY,
            NOW + 5 * DAY, "0x" + "a1" * 20, "0x" + "b2" * 20, "", "Chemise en lin bleue", moves,
            (t.ChatLine(NOW, "buyer", "Un bouton est tombé", True),),
        )
        for digit, role, status, claimed, moves in (
            ("1", "holder", "active", 0, (A("open_warranty_claim", "anyone"), A("transfer_warranty", "anyone"))),
            ("2", "underwriter", "claimed", 10**18, (A("offer_repair", "anyone"),)),
        )
    )  # fmt: skip
    insured = tuple(
        t.CoverCard(
            digit * 32, role, status, "0x" + "d3" * 20, name, order_key, "0x" + "11" * 32, OTHER_STORE,
            "Chemise en lin bleue", 1, 89 * 10**18, 89 * 10**18, 356 * 10**16, "hEUR", 18, 365, NOW - DAY,
            NOW + DAY if status == "offered" else None, code, note, asked, "", moves,
        )
        for digit, role, status, name, order_key, code, note, asked, moves in (
            ("c", "buyer", "offered", "Mutuelle des Canuts", done.order_key, "", "Gardez la facture.", "", ("buy",)),
            ("d", "underwriter", "asked", "", "", "bond-too-small", "", "C’est un cadeau.", ("offer", "decline")),
            ("e", "underwriter", "bought", "Noé", "", "", "", "", ()),
        )
    )  # fmt: skip
    orders_shown = (pack, ask, closed, dispute, pay, altered, way, done, returning, case)
    detail = {order.order_key: order for order in orders_shown}
    line = replace(pack.lines[0], quantity=2, total=eur("178.00"))
    tokens = (t.TokenView("hEUR", "0x70", 18, 31337, "EUR", 125 * 10**18),)
    rates = (
        t.RateView("colissimo", "Colissimo", eur("6.90"), 2, 3),
        t.RateView("relais", "Point relais", eur("4.50"), 3, 5),
    )
    cart = t.CartView((t.CartStore(OTHER_STORE, "Atelier Camille", (line,), eur("178.00"), rates, tokens, True),), 2)
    todo = t.Todo(
        to_pack=(pack.summary,),
        to_answer=(ask.summary,),
        disputes=(dispute.summary,),
        low_stock=(t.LowStock("bol-gres", "bol-gres", "Bol en grès", 2),),
        returns=(returning.summary,),
        cases=(case.summary,),
    )
    counter = Counter(detail, cart, [], todo, papers=papers, insured=insured)
    counter.talks.fill((pack.summary, closed.summary), (way.summary,), counter.done)
    return counter
