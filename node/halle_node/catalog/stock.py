"""What is on the shelf: `on_hand` counts things, `reserved` counts promises, and neither is ever below zero.

Rule: every change is one conditional UPDATE inside the caller's transaction, so that two orders can never be
promised the last shirt; the table's CHECKs hold the same law against any other code. A variant that is not tracked,
or that the store does not know, is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, and_, case, delete, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.catalog.product import StockLevel
from halle_node.db.schema.catalog import product, stock
from halle_protocol.errors import LocalProtocolError, Refused


def level(connection: Connection, handle: str, sku: str) -> StockLevel | None:
    """What is on the shelf of one variant; None when the store does not know it."""
    row = connection.execute(select(stock).where(stock.c.handle == handle, stock.c.sku == sku)).first()
    return None if row is None else StockLevel(**row._mapping)


def levels(connection: Connection, handle: str | None = None) -> list[StockLevel]:
    """The shelf of one product, or of the whole store."""
    query = select(stock).order_by(stock.c.handle, stock.c.sku)
    if handle is not None:
        query = query.where(stock.c.handle == handle)
    return [StockLevel(**row._mapping) for row in connection.execute(query)]


def low(connection: Connection, threshold: int) -> list[StockLevel]:
    """Tracked variants with `threshold` or fewer left to sell, fewest first."""
    free = stock.c.on_hand - stock.c.reserved
    query = select(stock).where(stock.c.tracked, free <= threshold).order_by(free, stock.c.handle, stock.c.sku)
    return [StockLevel(**row._mapping) for row in connection.execute(query)]


def reserve(connection: Connection, handle: str, sku: str, quantity: int) -> None:
    """Promise `quantity` to an order.

    Raises: Refused("out-of-stock").
    """
    _check(quantity)
    room = or_(stock.c.oversell, ~stock.c.tracked, stock.c.reserved + quantity <= stock.c.on_hand)
    changed = connection.execute(
        update(stock)
        .where(stock.c.handle == handle, stock.c.sku == sku, room)
        .values(reserved=stock.c.reserved + quantity)
    )
    found = level(connection, handle, sku)
    if found is None:
        return
    if changed.rowcount:
        _touch_when(connection, found, found.free <= 0)
        return
    raise Refused(
        f"Only {max(found.free, 0)} of {sku} are left.",
        code="out-of-stock",
        hint="Ask for fewer, or wait until there is more.",
        handle=handle,
        sku=sku,
        free=max(found.free, 0),
    )


def take(connection: Connection, handle: str, sku: str, quantity: int) -> None:
    """Turn a promise into a sale: the goods leave the shelf.

    Raises: LocalProtocolError("stock-not-reserved") when less than that was promised.
    """
    _check(quantity)
    promised = and_(stock.c.handle == handle, stock.c.sku == sku, stock.c.reserved >= quantity)
    # With oversell the shelf may be empty already; it stays at nothing, not below.
    left = stock.c.on_hand - quantity
    changed = connection.execute(
        update(stock)
        .where(promised, or_(left >= 0, stock.c.oversell, ~stock.c.tracked))
        .values(reserved=stock.c.reserved - quantity, on_hand=func.max(left, 0))
    )
    _expect(connection, changed.rowcount, handle, sku)


def free(connection: Connection, handle: str, sku: str, quantity: int) -> None:
    """Take a promise back.

    Raises: LocalProtocolError("stock-not-reserved").
    """
    _check(quantity)
    changed = connection.execute(
        update(stock)
        .where(stock.c.handle == handle, stock.c.sku == sku, stock.c.reserved >= quantity)
        .values(reserved=stock.c.reserved - quantity)
    )
    found = _expect(connection, changed.rowcount, handle, sku)
    _touch_when(connection, found, found is not None and 0 < found.free <= quantity)


def put_back(connection: Connection, handle: str, sku: str, quantity: int) -> None:
    """Add returned goods to the shelf again."""
    _check(quantity)
    connection.execute(
        update(stock).where(stock.c.handle == handle, stock.c.sku == sku).values(on_hand=stock.c.on_hand + quantity)
    )
    found = level(connection, handle, sku)
    _touch_when(connection, found, found is not None and 0 < found.free <= quantity)


def set_on_hand(connection: Connection, handle: str, sku: str, on_hand: int) -> StockLevel:
    """Count the shelf anew; what is promised to orders stays promised.

    Raises: Refused("stock-unknown" | "stock-negative" | "stock-below-promised").
    """
    found = level(connection, handle, sku)
    if found is None:
        raise Refused(
            f"{handle} has no variant {sku}.",
            code="stock-unknown",
            hint="Look up the variants of the product.",
        )
    if on_hand < 0:
        raise Refused("Stock cannot be below zero.", code="stock-negative", hint="Count what is on the shelf.")
    if found.tracked and not found.oversell and on_hand < found.reserved:
        raise Refused(
            f"{found.reserved} of {sku} are promised to open orders.",
            code="stock-below-promised",
            hint="Decline or refund orders first, or keep at least that many.",
        )
    connection.execute(update(stock).where(stock.c.handle == handle, stock.c.sku == sku).values(on_hand=on_hand))
    counted = StockLevel(handle, sku, on_hand, found.reserved, found.tracked, found.oversell)
    _touch_when(connection, counted, (found.free > 0) != (counted.free > 0))
    return counted


def declare(connection: Connection, shelves: Iterable[StockLevel], *, replaced: Iterable[str] = ()) -> None:
    """Count many shelves at once; variants of the `replaced` products that are not named are taken down.

    What is reserved stays, and a variant with promises is kept. A count below what is promised is raised to it,
    because those goods are already sold.
    """
    rows = [
        {
            "handle": one.handle,
            "sku": one.sku,
            "on_hand": one.on_hand,
            "tracked": one.tracked,
            "oversell": one.oversell,
        }
        for one in shelves
    ]
    _take_down(connection, list(replaced), {(one["handle"], one["sku"]) for one in rows})
    if rows:
        connection.execute(_DECLARE, rows)


def _take_down(connection: Connection, handles: list[str], named: set[tuple[object, object]]) -> None:
    kept = connection.execute(
        select(stock.c.handle, stock.c.sku).where(stock.c.handle.in_(handles), stock.c.reserved == 0)
    ).all()
    for handle, sku in kept:
        if (handle, sku) not in named:
            connection.execute(delete(stock).where(stock.c.handle == handle, stock.c.sku == sku))


_NEW = insert(stock).values(reserved=0)
_COUNTED = case(
    (_NEW.excluded.tracked & ~_NEW.excluded.oversell, func.max(_NEW.excluded.on_hand, stock.c.reserved)),
    else_=_NEW.excluded.on_hand,
)
_DECLARE = _NEW.on_conflict_do_update(
    index_elements=["handle", "sku"],
    set_={"on_hand": _COUNTED, "tracked": _NEW.excluded.tracked, "oversell": _NEW.excluded.oversell},
)


def _touch_when(connection: Connection, found: StockLevel | None, crossed: bool) -> None:
    """Have the product published again when it went out of stock or came back: the listing says so."""
    if found is None or not found.tracked or not crossed:
        return
    connection.execute(update(product).where(product.c.handle == found.handle).values(revision=product.c.revision + 1))


def _check(quantity: int) -> None:
    if quantity <= 0:
        raise LocalProtocolError(f"{quantity} is not a quantity.", code="quantity-invalid")


def _expect(connection: Connection, changed: int, handle: str, sku: str) -> StockLevel | None:
    found = level(connection, handle, sku)
    if changed or found is None:
        return found
    raise LocalProtocolError(
        f"That many of {sku} were not reserved.", code="stock-not-reserved", handle=handle, sku=sku
    )
