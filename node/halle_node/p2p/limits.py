"""What one peer may cost us: token buckets by lane, and a score that falls with every refused frame."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MAX_PEERS_REMEMBERED = 4096
REJECT_COST = 10.0
ACCEPT_GAIN = 1.0
MAX_SCORE = 100.0
BAN_BELOW = -100.0
BAN_S = 600.0


@dataclass
class Bucket:
    """A token bucket that refills to `per_minute` in a minute; `burst` of that may be used at once."""

    per_minute: float
    tokens: float
    updated: float
    burst: float = 1 / 6

    def take(self, amount: float, now: float) -> bool:
        capacity = max(self.per_minute * self.burst, 1.0)
        self.tokens = min(capacity, self.tokens + (now - self.updated) * self.per_minute / 60)
        self.updated = now
        # A request larger than the whole burst may pass when the bucket is full; it leaves a debt.
        if self.tokens < min(amount, capacity):
            return False
        self.tokens -= amount
        return True


@dataclass
class _Account:
    buckets: dict[str, Bucket] = field(default_factory=dict)
    score: float = 0.0
    banned_until: float = 0.0
    streams: int = 0


class PeerLedger:
    """Budgets and scores of every peer seen lately. Used from the network thread only.

    Units: `clock` is a monotonic time in seconds.
    """

    def __init__(self, per_minute: Mapping[str, float], clock: Callable[[], float], *, burst: float = 1 / 6) -> None:
        self._burst = burst
        self._per_minute = dict(per_minute)
        self._clock = clock
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def _account(self, peer: str) -> _Account:
        account = self._accounts.get(peer)
        if account is None:
            account = self._accounts[peer] = _Account()
            self._forget_old()
        self._accounts.move_to_end(peer)
        return account

    def _forget_old(self) -> None:
        while len(self._accounts) > MAX_PEERS_REMEMBERED:
            self._accounts.popitem(last=False)

    def take(self, peer: str, lane: str, amount: float = 1.0) -> bool:
        """Spend from the peer's budget in one lane; False when it is used up."""
        now = self._clock()
        buckets = self._account(peer).buckets
        bucket = buckets.get(lane)
        if bucket is None:
            rate = self._per_minute[lane]
            bucket = buckets[lane] = Bucket(rate, max(rate * self._burst, 1.0), now, self._burst)
        return bucket.take(amount, now)

    def accepted(self, peer: str) -> None:
        account = self._account(peer)
        account.score = min(MAX_SCORE, account.score + ACCEPT_GAIN)

    def rejected(self, peer: str) -> bool:
        """Note a frame that breaks a rule; True when the peer is banned for it now."""
        account = self._account(peer)
        account.score -= REJECT_COST
        if account.score >= BAN_BELOW:
            return False
        account.score = 0.0
        account.banned_until = self._clock() + BAN_S
        return True

    def is_banned(self, peer: str) -> bool:
        return self._account(peer).banned_until > self._clock()

    def score(self, peer: str) -> float:
        return self._account(peer).score

    def enter_stream(self, peer: str, limit: int) -> bool:
        account = self._account(peer)
        if account.streams >= limit:
            return False
        account.streams += 1
        return True

    def leave_stream(self, peer: str) -> None:
        account = self._account(peer)
        account.streams = max(0, account.streams - 1)
