"""Who may take room and time: each kind of store has a lane of its own, so that a flood in one leaves the others free.

Rule: what nobody here has any tie to shares one bounded budget; whoever is followed, was bought from, is well reviewed
by somebody followed, or has money at stake on the chain does not compete with strangers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from sqlalchemy import Connection, select

from halle_node.db.schema import index as tables
from halle_node.db.schema.trade import trade_order

MAX_BUCKETS = 20_000
GOOD_RATING = 4


class Lane(Enum):
    """Why a store is let in; the first that fits counts."""

    FOLLOWED = "followed"
    BOUGHT = "bought"
    VOUCHED = "vouched"
    BONDED = "bonded"
    KNOWN = "known"
    STRANGER = "stranger"


class Budget(NamedTuple):
    """Heads a second, and at once."""

    rate: float
    burst: float


BUDGETS: Mapping[Lane, Budget] = {
    Lane.FOLLOWED: Budget(200.0, 5_000.0),
    Lane.BOUGHT: Budget(100.0, 2_000.0),
    Lane.VOUCHED: Budget(100.0, 2_000.0),
    Lane.BONDED: Budget(50.0, 1_000.0),
    Lane.KNOWN: Budget(200.0, 5_000.0),
    Lane.STRANGER: Budget(200.0, 5_000.0),
}
"""What all stores of a lane share."""

STORE = Budget(0.2, 20.0)
"""What one store has, in any lane."""

FIRST = frozenset((Lane.FOLLOWED, Lane.BOUGHT, Lane.VOUCHED, Lane.BONDED))
"""Lanes that go before the others wherever there is a queue, and are not limited in what is kept of them."""


class TokenBucket:
    """How much is let through: `rate` a second, and `burst` at once."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, at: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = at

    def take(self, at: float) -> bool:
        """True when one more may pass."""
        self._tokens = min(self._burst, self._tokens + max(at - self._at, 0.0) * self._rate)
        self._at = max(at, self._at)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Lanes:
    """The lane of every store with a tie to us. Asked from any thread: the table is replaced whole."""

    def __init__(self) -> None:
        self._named: Mapping[bytes, Lane] = {}

    def of(self, store: bytes) -> Lane | None:
        """The store's lane, None for one without any tie."""
        return self._named.get(store)

    def goes_first(self, store: bytes) -> bool:
        """True for a store with a lane of its own."""
        return store in self._named

    def renew(self, **stores: Iterable[bytes]) -> None:
        """Replace the table. Shape: name of a lane in small letters → its stores."""
        named: dict[bytes, Lane] = {}
        for lane in reversed(list(Lane)):
            named.update(dict.fromkeys(stores.get(lane.value, ()), lane))
        self._named = named


def ties(connection: Connection) -> dict[str, set[bytes]]:
    """What the database says of ties. Shape: followed, bought, vouched → stores."""
    follow, review = tables.follow, tables.review
    followed = set(connection.execute(select(follow.c.store)).scalars())
    bought = {
        party
        for row in connection.execute(select(trade_order.c.merchant, trade_order.c.buyer).distinct())
        for party in row
    }
    vouched = connection.execute(
        select(review.c.store)
        .where(review.c.author.in_(select(follow.c.store)), review.c.verified, review.c.rating >= GOOD_RATING)
        .distinct()
    ).scalars()
    return {"followed": followed, "bought": bought, "vouched": set(vouched)}


class Admission:
    """Lets heads in by lane. Quick and thread-safe."""

    def __init__(self, monotonic: Callable[[], float], max_strangers: int) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._max_strangers = max_strangers
        self._stores: OrderedDict[bytes, TokenBucket] = OrderedDict()
        self._lanes = {lane: TokenBucket(*budget, monotonic()) for lane, budget in BUDGETS.items()}

    def admit(self, store: bytes, lane: Lane, *, population: int) -> bool:
        """True when a head of `store` may be worked on now. `population` is how many stores are known here."""
        with self._lock:
            at = self._monotonic()
            if lane is Lane.STRANGER and population >= self._max_strangers:
                return False
            bucket = self._stores.pop(store, None) or TokenBucket(*STORE, at)
            self._stores[store] = bucket
            if len(self._stores) > MAX_BUCKETS:
                self._stores.popitem(last=False)
            # One store's excess must not use up what its whole lane has.
            return bucket.take(at) and self._lanes[lane].take(at)
