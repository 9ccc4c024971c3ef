"""Everything a buyer and a merchant do with orders, behind one door.

Rule: each move is one transaction that holds the business change, the message it sends and the chain transaction it
makes. State is never stored; it is folded from signed messages and chain events by `halle_protocol.order`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from halle_node.db import Database
from halle_node.trade import balances, book, certificates, cover_cards, extras, listing, rules, todo
from halle_node.trade.background import Background
from halle_node.trade.bonding import Bonding
from halle_node.trade.carrying import Carrying
from halle_node.trade.cart import Cart
from halle_node.trade.covering import Covering
from halle_node.trade.covers import Role as CoverRole
from halle_node.trade.detail import order_detail
from halle_node.trade.digital import Digital
from halle_node.trade.erasing import Erasure, erase
from halle_node.trade.insuring import Insuring
from halle_node.trade.keeping import kept_by_orders
from halle_node.trade.moves import Moves
from halle_node.trade.operator import Operator
from halle_node.trade.ports import Blocks, Catalog, Chain, Config, Fetch, Index, KeyRing, Messages
from halle_node.trade.receiving import Receiving
from halle_node.trade.room import Room, Rules, promises
from halle_node.trade.rules import AcceptRules
from halle_node.trade.services import Services
from halle_node.trade.talking import Talking
from halle_node.trade.views import (
    Balance,
    BalanceRow,
    CartView,
    CertificateCard,
    CheckoutForm,
    CoverCard,
    OrderDetail,
    OrderSummary,
    Todo,
)
from halle_node.trade.warranties import read_id
from halle_node.trade.watching import Watching
from halle_protocol.cid import CID


class TradeService:
    """Carts, quotes, orders, shipments, settlements and warranties of one store, on both sides of the counter."""

    def __init__(
        self,
        config: Config,
        db: Database,
        keys: KeyRing,
        catalog: Catalog,
        index: Index,
        messages: Messages,
        chain: Chain,
        clock: Callable[[], int],
        *,
        blocks: Blocks,
        whereabouts: Callable[[], Sequence[str]] = tuple,
        announce: Callable[[Any], Awaitable[None]] | None = None,
        fetch: Fetch | None = None,
        is_replaced: Callable[[], bool] = lambda: False,
        rules: Rules | None = None,
        is_blocked: Callable[[bytes], bool] = lambda store: False,
    ) -> None:
        """Join the rooms.

        `whereabouts` gives our peer addresses, `announce` tells the network of a publish, `fetch` brings blocks,
        `is_blocked` says whom the owner does not want to hear.
        `is_replaced` says whether another machine runs this store with a later grant.
        """
        room = Room(
            config=config,
            db=db,
            keys=keys,
            catalog=catalog,
            index=index,
            messages=messages,
            chain=chain,
            clock=clock,
            blocks=blocks,
            whereabouts=whereabouts,
            announce=announce,
            fetch=fetch,
            is_replaced=is_replaced,
            rules=rules or Rules(),
        )
        self.services = Services(room)
        self.carrying = Carrying(room)
        self.insuring = Insuring(room)
        self.covering = Covering(room)
        self.bonding = Bonding(room)
        self._room = room
        self._cart = Cart(room)
        self.talks = Talking(room, is_blocked)
        self._moves = Moves(room, self.talks)
        self._operator = Operator(room)
        self._receiving = Receiving(room)
        self._watching = Watching(room)
        self._history = self._moves.history
        self._background = Background(room, self._moves, self._operator, self._watching, self._history, self.covering)
        self._history.register()
        self._receiving.register()
        self._watching.subscribe()

    async def run(self) -> None:
        """Do the work nobody has to ask for: join chain and messages, accept offers, free stock, claim what is due."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._background.run())
            tasks.create_task(self.talks.run())

    async def work_once(self) -> None:
        """Do one round of that work now."""
        await self._background.work_once()

    def has_thread(self, thread: bytes) -> bool:
        """True when an order of ours is talked about under this thread."""
        return self._room.db.read(lambda conn: book.by_thread(conn, thread)) is not None

    # --- cart -------------------------------------------------------------------------------------------------

    def cart(self) -> CartView:
        """Return the cart priced with today's listings; a line that cannot be bought says why in `problem`."""
        return self._cart.view()

    async def cart_add(self, store: bytes | str, handle: str, sku: str, quantity: int = 1) -> CartView:
        """Put pieces of a variant into the cart.

        Raises: Refused listing-unknown, variant-unknown, own-listing, quantity-out-of-range, cart-full.
        """
        return await self._cart.add(store, handle, sku, quantity)

    async def cart_set(self, line_id: str, quantity: int) -> CartView:
        """Change the pieces of a line; 0 removes it."""
        return await self._cart.set(line_id, quantity)

    async def cart_clear(self, store: bytes | str | None = None) -> CartView:
        """Empty the cart, or one store's part of it."""
        return await self._cart.clear(store)

    # --- buyer ------------------------------------------------------------------------------------------------

    @promises
    async def request_quote(self, form: CheckoutForm) -> str:
        """Turn one store's part of the cart into an order request on its way; return its order key.

        Raises: Refused cart-empty, address-missing, token-unknown, terms-missing, … and those of pricing.
        """
        return await self._moves.buying.request_quote(form)

    @promises
    async def approve(self, order_key: str) -> None:
        """Fund the order: as quoted when the quote is here, as an offer when the merchant is away.

        Raises: Refused quote-expired, balance-too-small, already-funded, keys-locked, quote-mismatch.
        """
        await self._moves.funding.approve(order_key)

    @promises
    async def make_offer(self, order_key: str) -> None:
        """Fund the order without waiting for the merchant's signature."""
        await self._moves.funding.offer(order_key)

    @promises
    async def release(self, order_key: str, amount: int | None = None) -> None:
        """Pay the merchant now; all that is held, or `amount`. Units: token's smallest unit."""
        await self._moves.settling.release(order_key, amount)

    @promises
    async def cancel(self, order_key: str, reason: str = "") -> None:
        """Withdraw a request that is not funded yet."""
        await self._moves.buying.cancel(order_key, reason)

    @promises
    async def reclaim(self, order_key: str) -> None:
        """Take the money back from a merchant who is late."""
        await self._moves.settling.reclaim(order_key)

    @promises
    async def lapse(self, order_key: str) -> None:
        """Return an offer nobody accepted in time to its buyer."""
        await self._moves.settling.lapse(order_key)

    @promises
    async def dispute(
        self, order_key: str, text: str = "", photos: Sequence[bytes] = (), chat: Sequence[str] = ("all",)
    ) -> None:
        """Ask the arbiter: the chain gets the evidence's hash, they get the evidence, the other side the words."""
        await self._moves.disputing.dispute(order_key, text, photos, chat)

    @promises
    async def review(self, order_key: str, rating: int, text: str, handle: str = "", language: str = "") -> None:
        """Publish a review of a finished order in our own catalog.

        Raises: Refused order-not-closed, rating-out-of-range, line-unknown.
        """
        await self._moves.reviewing.review(order_key, rating, text, handle, language)

    @promises
    async def propose_settlement(self, order_key: str, buyer_share: int, note: str = "") -> None:
        """Offer a split of what is held; `buyer_share` goes back to the buyer. Units: token's smallest unit."""
        await self._moves.settling.propose(order_key, buyer_share, note)

    @promises
    async def accept_settlement(self, order_key: str, buyer_share: int | None = None) -> None:
        """Sign the other side's newest split, if it is the one that was read, and close the order with it.

        Units: token's smallest unit. Raises: Refused settlement-changed.
        """
        await self._moves.settling.accept(order_key, buyer_share)

    @promises
    async def chat(self, order_key: str, text: str = "", photos: Sequence[bytes] = ()) -> None:
        """Say something to the other side."""
        await self.talks.chat(order_key, text, photos)

    @promises
    async def open_warranty_claim(self, order_key: str, amount: int | None = None, text: str = "") -> None:
        """Claim on the order's certificate; `amount` None claims the whole cover. Units: token's smallest unit."""
        await self._moves.warranties.open_claim(order_key, amount, text, ())

    # --- merchant ---------------------------------------------------------------------------------------------

    @promises
    async def accept(self, order_key: str) -> None:
        """Answer an order: sign a quote for a request, accept an offer that is already funded."""
        await self._moves.selling.accept(order_key)

    @promises
    async def decline(self, order_key: str, reason: str = "") -> None:
        """Say no: to a request by message, to a funded offer by giving the money back."""
        await self._moves.selling.decline(order_key, reason)

    @promises
    async def ship(
        self,
        order_key: str,
        carrier: str = "",
        tracking: str = "",
        url: str = "",
        *,
        lines: str = "",
        complete: bool = False,
        anyway: bool = False,
    ) -> None:
        """Announce a parcel, the last one on chain too; `anyway` does so before the payment is safe.

        Raises: Refused payment-not-safe.
        """
        await self._moves.selling.ship(order_key, carrier, tracking, url, lines, complete, anyway)

    @promises
    async def deliver_with_code(self, order_key: str, code: str) -> None:
        """Prove the hand-over with the buyer's code.

        Raises: Refused delivery-code-wrong.
        """
        await self._moves.selling.deliver_with_code(order_key, code)

    @promises
    async def claim(self, order_key: str) -> None:
        """Collect the money of an order whose inspection time is over."""
        await self._moves.settling.claim(order_key)

    @promises
    async def refund(self, order_key: str, amount: int | None = None) -> None:
        """Give money back: all that is held, or `amount`. Units: token's smallest unit."""
        await self._moves.settling.refund(order_key, amount)

    @promises
    async def issue_warranty(self, order_key: str, days: int | None = None, cover: int | None = None) -> None:
        """Back the order with a certificate: bond, then register. Defaults come from the listing's warranty.

        Units: `cover` in the token's smallest unit.
        """
        await self._moves.warranties.issue(order_key, days, cover)

    @promises
    async def accept_warranty_claim(self, order_key: str) -> None:
        """Pay the open claim of the order's certificate."""
        await self._moves.warranties.accept_claim(order_key)

    @promises
    async def contest_warranty_claim(self, order_key: str, text: str = "") -> None:
        """Ask the arbiter about the open claim."""
        await self._moves.warranties.contest_claim(order_key, text)

    @promises
    async def collect_warranty_claim(self, order_key: str) -> None:
        """Pay out a claim its underwriter left unanswered."""
        await self._moves.warranties.pay_unanswered(order_key)

    @promises
    async def register_operator(self) -> None:
        """Let the node's operator key act for this store on chain; does nothing when it already may.

        Raises: Refused keys-locked.
        """
        await self._operator.register()

    def accept_rules(self) -> AcceptRules:
        """Return what the node may accept alone."""
        return self._room.db.read(rules.read)

    @promises
    async def set_accept_rules(self, wanted: AcceptRules) -> None:
        """Keep what the node may accept alone.

        Raises: Refused rules-invalid.
        """
        await self._room.db.write(lambda conn: rules.write(conn, wanted, self._room.clock()))

    @property
    def digital(self) -> Digital:
        """The shelf of digital goods."""
        return self._moves.digital

    def covers(self, role: CoverRole | None = None, order_key: str = "") -> list[CoverCard]:
        """Return cover that was asked for, by us (buyer) or of us (underwriter).

        Raises: Refused order-unknown.
        """
        return cover_cards.cover_cards(self._room, role, order_key)

    def cover(self, key: str) -> CoverCard:
        """Return one cover by its key or the first letters of it.

        Raises: Refused cover-unknown.
        """
        return cover_cards.cover_card(self._room, key)

    def certificates(self, role: str = "") -> list[CertificateCard]:
        """Return the warranty certificates we hold or back."""
        return certificates.cards(self._room, role)

    def certificate(self, name: str) -> CertificateCard:
        """Return one certificate by its name.

        Raises: Refused certificate-unknown.
        """
        return certificates.card(self._room, read_id(name))

    async def erase_customer(self, who: str, *, apply: bool) -> Erasure:
        """Erase a customer, named by address or name; without `apply` only say what would go.

        Raises: Refused customer-unknown, customer-ambiguous, customer-has-open-orders.
        """
        return await erase(self._room, who, apply=apply)

    async def file(self, order_key: str, file_id: str) -> tuple[str, str, bytes]:
        """Return name, MIME type and bytes of a file that came with an order."""
        return await extras.open_file(self._room, order_key, file_id)

    # --- both -------------------------------------------------------------------------------------------------

    @promises
    async def act(self, order_key: str, action: str, **form: Any) -> None:
        """Make the move `action` of the order's next actions, with the form's fields.

        Raises: Refused action-unknown, action-not-now, form-invalid and those of the move.
        """
        await self._moves.act(order_key, action, form)

    def orders(
        self, role: str = "", view: str = "all", query: str = "", limit: int = 100, offset: int = 0
    ) -> list[OrderSummary]:
        """Return orders, newest change first.

        Views: all, open, to-pack, to-answer, unpaid, returns, disputes, closed. Role arbiter lists our cases.
        """
        return listing.orders(self._room, role, view, query, limit, offset)

    def order(self, order_key: str) -> OrderDetail:
        """Return one order, by its key or its order id.

        Raises: Refused order-unknown.
        """
        return order_detail(self._room, order_key)

    def chain_time(self) -> int:
        """Return the chain's time as last known: deadlines are judged by it. Units: unix seconds."""
        return self._room.chain_time()

    def todo(self) -> Todo:
        """Return what waits for the shopkeeper."""
        return todo.todo(self._room)

    def kept(self) -> set[CID]:
        """Return what open orders refer to and a clean-up must leave."""
        return self._room.db.read(kept_by_orders)

    def balance(self, order_key: str) -> Balance:
        """Return where one order's money is."""
        return balances.balance(self._room, order_key)

    def balance_sheet(self) -> list[BalanceRow]:
        """Return where the money of every funded order is."""
        return balances.balance_sheet(self._room)
