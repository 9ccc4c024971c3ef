"""One cart over many shops. Rule: the cart keeps wishes, never prices; it is priced anew each time it is shown."""

from __future__ import annotations

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.trade import trade_cart_line as table
from halle_node.trade import offer
from halle_node.trade.offer import Wanted
from halle_node.trade.room import Room
from halle_node.trade.views import CartStore, CartView, LineView, TokenView
from halle_protocol.documents import Profile
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import to_checksum
from halle_protocol.money import Money

MAX_LINES = 200
MAX_QUANTITY = 10_000


class Cart:
    """The cart of this home."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def view(self) -> CartView:
        """Return the cart, one part a store."""
        rows = self._room.db.read(lambda conn: conn.execute(select(table).order_by(table.c.id)).all())
        stores = list(dict.fromkeys(row.store for row in rows))
        parts = tuple(self._part(store, [row for row in rows if row.store == store]) for store in stores)
        return CartView(stores=parts, count=sum(row.quantity for row in rows))

    async def add(self, store: bytes | str, handle: str, sku: str, quantity: int) -> CartView:
        """Add pieces; a second time adds to the line."""
        seller = offer.address_of(store)
        if seller == self._room.me:
            raise Refused("This is your own listing.", code="own-listing", hint="Buy from another store.")
        variant = offer.variant_of(offer.listing_of(self._room, seller, handle).listing, sku)
        _check_quantity(quantity, 1)
        row = {
            "store": seller,
            "handle": handle,
            "sku": variant.sku,
            "quantity": quantity,
            "added_at": self._room.clock(),
        }
        await self._room.db.write(lambda conn: _add(conn, row))
        return self.view()

    async def set(self, line_id: str, quantity: int) -> CartView:
        """Set the pieces of a line; 0 removes it."""
        _check_quantity(quantity, 0)
        here = table.c.id == _row_id(line_id)

        def change(conn: Connection) -> None:
            if quantity:
                conn.execute(update(table).where(here).values(quantity=quantity))
            else:
                conn.execute(delete(table).where(here))

        await self._room.db.write(change)
        return self.view()

    async def clear(self, store: bytes | str | None) -> CartView:
        """Remove one store's lines, or all."""
        seller = None if store is None else offer.address_of(store)
        await self._room.db.write(lambda conn: clear(conn, seller))
        return self.view()

    def wanted(self, store: bytes) -> list[Wanted]:
        """Return one store's lines resolved against today's listings.

        Raises: Refused cart-empty, listing-unknown, variant-unknown.
        """
        query = select(table).where(table.c.store == store).order_by(table.c.id)
        rows = self._room.db.read(lambda conn: conn.execute(query).all())
        if not rows:
            raise Refused("The cart holds nothing from this store.", code="cart-empty", hint="Add something first.")
        return [self._resolve(row) for row in rows]

    def _resolve(self, row: Row[tuple[object, ...]]) -> Wanted:
        view = offer.listing_of(self._room, row.store, row.handle)
        return Wanted(view, offer.variant_of(view.listing, row.sku), row.quantity)

    def _part(self, store: bytes, rows: list[Row[tuple[object, ...]]]) -> CartStore:
        lines: list[LineView] = []
        wanted: list[Wanted] = []
        for row in rows:
            try:
                resolved = self._resolve(row)
            except HalleError as error:
                lines.append(self._broken(row, error.code))
                continue
            wanted.append(resolved)
            lines.append(line_view(resolved, self._room.config.language, str(row.id)))
        try:
            return self._priced(store, offer.profile_of(self._room, store), wanted, lines)
        except HalleError as error:
            nothing = Money(0, self._room.config.currency)
            return CartStore(to_checksum(store), "", tuple(lines), nothing, (), (), False, error.code)

    def _priced(self, store: bytes, profile: Profile, wanted: list[Wanted], lines: list[LineView]) -> CartStore:
        room = self._room
        currencies = {line.variant.price.currency for line in wanted} or {profile.currency}
        currency = min(currencies)
        subtotal = Money(0, currency)
        if len(currencies) == 1:
            subtotal = sum((line.total for line in lines if not line.problem), subtotal)
        _, shipping = offer.shipping_of(room, profile)
        rates = offer.rates_for(shipping, wanted, room.config.country, currency, room.config.language)
        to_send = offer.needs_address([line.view.listing for line in wanted])
        problem = "currency-mixed" if len(currencies) > 1 else ""
        return CartStore(
            store=to_checksum(store),
            name=profile.name,
            lines=tuple(lines),
            subtotal=subtotal,
            rates=tuple(rates) if to_send else (),
            tokens=tuple(self._tokens(profile, currency)),
            needs_address=to_send,
            problem=problem,
        )

    def _tokens(self, profile: Profile, currency: str) -> list[TokenView]:
        return [
            TokenView(each.symbol, to_checksum(each.token), each.decimals, each.chain_id, each.currency)
            for each in offer.payment_options(self._room, profile)
            if each.currency == currency
        ]

    def _broken(self, row: Row[tuple[object, ...]], code: str) -> LineView:
        nothing = Money(0, self._room.config.currency)
        return LineView(
            str(row.id), to_checksum(row.store), row.handle, row.sku, row.handle, {}, row.quantity,
            nothing, nothing, problem=code,
        )  # fmt: skip


def clear(conn: Connection, store: bytes | None) -> None:
    """Remove one store's lines, or all, in the caller's transaction."""
    gone = delete(table)
    conn.execute(gone if store is None else gone.where(table.c.store == store))


def line_view(wanted: Wanted, language: str, line_id: str) -> LineView:
    """Return a line as pages show it."""
    listing, variant = wanted.view.listing, wanted.variant
    price = variant.price.money
    position = variant.image or 0
    picture = listing.media[position] if position < len(listing.media) else None
    return LineView(
        line_id=line_id,
        store=to_checksum(wanted.view.store),
        handle=listing.handle,
        sku=variant.sku,
        title=listing.title.get(language),
        options=dict(variant.options),
        quantity=wanted.quantity,
        unit_price=price,
        total=price * wanted.quantity,
        image=str(picture.thumb or picture.cid) if picture else "",
        listing_cid=str(wanted.view.cid),
        problem="" if variant.availability in ("in_stock", "backorder", "preorder") else "not-available",
    )


def _add(conn: Connection, row: dict[str, object]) -> None:
    count = conn.execute(select(func.count()).select_from(table)).scalar_one()
    if count >= MAX_LINES:
        raise Refused(f"The cart holds {MAX_LINES} lines already.", code="cart-full", hint="Check out first.")
    more = func.min(table.c.quantity + row["quantity"], MAX_QUANTITY)
    key = [table.c.store, table.c.handle, table.c.sku]
    conn.execute(insert(table).values(row).on_conflict_do_update(index_elements=key, set_={"quantity": more}))


def _check_quantity(quantity: int, least: int) -> None:
    if not least <= quantity <= MAX_QUANTITY:
        raise Refused(
            f"{quantity} pieces cannot be ordered.",
            code="quantity-out-of-range",
            hint=f"Choose between {least} and {MAX_QUANTITY}.",
        )


def _row_id(line_id: str) -> int:
    if not line_id.isdigit():
        raise Refused(f"There is no cart line {line_id[:20]!r}.", code="line-unknown")
    return int(line_id)
