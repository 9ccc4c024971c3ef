"""What one peer may cost us: token buckets by lane, and a score that falls with every refused frame.

Gossiped heads also come out of one budget for all peers together. Each peer has a small reserve of its own beside it,
so that a crowd that uses up what is shared cannot silence the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from halle_node.p2p.types import Access, OpenDoor

MAX_PEERS_REMEMBERED = 4096
REJECT_COST = 10.0
ACCEPT_GAIN = 1.0
MAX_SCORE = 100.0
MESH_BELOW = -40.0
BAN_BELOW = -100.0
BAN_S = 600.0
SCORE_HALF_LIFE_S = 600.0
MAX_PACE_S = 10.0
EVERYBODY = ""


@dataclass
class Bucket:
    """A token bucket that refills to `per_minute` in a minute; `burst` of that may be used at once."""

    per_minute: float
    tokens: float
    updated: float
    burst: float = 1 / 6

    @property
    def capacity(self) -> float:
        return max(self.per_minute * self.burst, 1.0)

    def take(self, amount: float, now: float) -> bool:
        capacity = self.capacity
        self.tokens = min(capacity, self.tokens + (now - self.updated) * self.per_minute / 60)
        self.updated = now
        # A request larger than the whole burst may pass when the bucket is full; it leaves a debt.
        if self.tokens < min(amount, capacity):
            return False
        self.tokens -= amount
        return True

    def owe(self, amount: float, now: float) -> float:
        """Take it in any case; return the seconds until the debt is paid back, 0 when there is none."""
        self.tokens = min(self.capacity, self.tokens + (now - self.updated) * self.per_minute / 60) - amount
        self.updated = now
        return max(-self.tokens, 0.0) / max(self.per_minute / 60, 1e-9)


@dataclass
class _Account:
    buckets: dict[str, Bucket] = field(default_factory=dict)
    score: float = 0.0
    scored_at: float = 0.0
    banned_until: float = 0.0
    streams: int = 0


class PeerLedger:
    """Budgets and scores of every peer seen lately. Used from the network thread only.

    Units: `clock` is a monotonic time in seconds.
    """

    def __init__(
        self,
        per_minute: Mapping[str, float],
        clock: Callable[[], float],
        access: Access | None = None,
        *,
        burst: float = 1 / 6,
    ) -> None:
        self._burst = burst
        self._per_minute = dict(per_minute)
        self._clock = clock
        self._access = access or OpenDoor()
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
            peer, account = self._accounts.popitem(last=False)
            if peer == EVERYBODY:  # what is shared must not begin anew when many peers come and go
                self._accounts[peer] = account

    def _bucket(self, peer: str, lane: str) -> Bucket:
        buckets = self._account(peer).buckets
        bucket = buckets.get(lane)
        if bucket is None:
            rate = self._per_minute[lane]
            bucket = buckets[lane] = Bucket(rate, max(rate * self._burst, 1.0), self._clock(), self._burst)
        return bucket

    def take(self, peer: str, lane: str, amount: float = 1.0) -> bool:
        """Spend from the peer's budget in one lane; False when it is used up."""
        return self._bucket(peer, lane).take(amount, self._clock())

    def pace(self, peer: str, lane: str, amount: float) -> float:
        """Charge what a peer has sent; return the seconds to wait before hearing more of it.

        Lanes: `lane` by peer, `<lane>-reserve` by peer and not shared, `<lane>-all` shared by everybody.
        """
        now = self._clock()
        wait_s = self._bucket(peer, lane).owe(amount, now)
        reserve = self._bucket(peer, f"{lane}-reserve")
        if amount > reserve.capacity or not reserve.take(amount, now):
            wait_s = max(wait_s, self._bucket(EVERYBODY, f"{lane}-all").owe(amount, now))
        return min(wait_s, MAX_PACE_S)

    def accepted(self, peer: str) -> None:
        account = self._faded(peer)
        account.score = min(MAX_SCORE, account.score + ACCEPT_GAIN)

    def rejected(self, peer: str) -> bool:
        """Note a frame that breaks a rule; True when the peer is banned for it now."""
        account = self._faded(peer)
        account.score -= REJECT_COST
        if account.score >= BAN_BELOW or self._access.is_exempt(peer):
            return False
        account.score = 0.0
        account.banned_until = self._clock() + BAN_S
        return True

    def is_banned(self, peer: str) -> bool:
        """True for a peer that broke the rules lately, and for one that the operator has blocked."""
        return self._access.is_blocked(peer) or self._account(peer).banned_until > self._clock()

    def is_blocked(self, peer: str) -> bool:
        """True for a peer that the operator has blocked."""
        return self._access.is_blocked(peer)

    def banned(self) -> dict[str, float]:
        """Who is banned for what it did, for any thread. Shape: peer → seconds left."""
        now = self._clock()
        accounts = list(self._accounts.items())
        return {peer: one.banned_until - now for peer, one in accounts if one.banned_until > now}

    def pardon(self, peer: str) -> None:
        """Forget what a peer did."""
        self._accounts.pop(peer, None)

    def score(self, peer: str) -> float:
        return self._faded(peer).score

    def _faded(self, peer: str) -> _Account:
        """A peer's account, its score nearer to 0 the longer ago it was earned."""
        account, now = self._account(peer), self._clock()
        if account.score:
            account.score *= 0.5 ** ((now - account.scored_at) / SCORE_HALF_LIFE_S)
        account.scored_at = now
        return account

    def enter_stream(self, peer: str, limit: int) -> bool:
        account = self._account(peer)
        if account.streams >= limit:
            return False
        account.streams += 1
        return True

    def leave_stream(self, peer: str) -> None:
        account = self._account(peer)
        account.streams = max(0, account.streams - 1)
