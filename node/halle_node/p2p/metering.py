"""What goes over each connection, all protocols together, and how much may be uploaded in blocks."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from halle_node.p2p.limits import Bucket

MAX_PEERS = 1024
SAMPLES = 6


class Meter:
    """Bytes in and out, in all and by peer; the peers seen last are kept. Read from any thread."""

    def __init__(self) -> None:
        self.bytes_in = 0
        self.bytes_out = 0
        self.rate_in = 0.0
        self.rate_out = 0.0
        self._peers: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=SAMPLES)

    def of(self, peer: str) -> tuple[int, int]:
        """Return (in, out) of a peer since this node first met it."""
        return self._peers.get(peer, (0, 0))

    def count(self, peer: str, bytes_in: int, bytes_out: int) -> None:
        """Add what went over a peer's connection. Network thread only."""
        before_in, before_out = self._peers.get(peer, (0, 0))
        self._peers[peer] = (before_in + bytes_in, before_out + bytes_out)
        self._peers.move_to_end(peer)
        while len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out

    def sample(self, now: float) -> None:
        """Work out the rates over the last samples; called every few seconds. Units: seconds, bytes a second."""
        self._samples.append((now, self.bytes_in, self.bytes_out))
        began, first_in, first_out = self._samples[0]
        span = max(now - began, 1e-9)
        self.rate_in, self.rate_out = (self.bytes_in - first_in) / span, (self.bytes_out - first_out) / span

    def watch(self, connection: Any, peer: str) -> None:
        """Count what a connection carries inside Noise, from now on."""
        secured = connection.muxed_conn.secured_conn
        read, write = secured.read, secured.write

        async def counted_read(n: int | None = None) -> bytes:
            data: bytes = await read(n)
            self.count(peer, len(data), 0)
            return data

        async def counted_write(data: bytes) -> None:
            await write(data)
            self.count(peer, 0, len(data))

        secured.read, secured.write = counted_read, counted_write


class UploadBudget:
    """How many bytes of blocks go out, to all peers together, by whichever protocol.

    Over any time of `t` seconds at most `t` + 10 seconds' worth, and one block more. Units: KB a second; 0 is no cap.
    Used from any thread.
    """

    def __init__(self, kb_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        per_minute = kb_s * 1024 * 60.0
        self._clock = clock
        self._lock = threading.Lock()
        self._bucket = Bucket(per_minute, per_minute / 6, clock()) if kb_s else None

    @property
    def spent(self) -> bool:
        """True while nothing more may go out."""
        if self._bucket is None:
            return False
        with self._lock:
            return not self._bucket.take(0, self._clock()) or self._bucket.tokens <= 0

    def spend(self, size: int) -> None:
        """Note bytes that have gone out already; what is over the budget is waited for before the next."""
        if self._bucket is not None:
            with self._lock:
                self._bucket.take(0, self._clock())
                self._bucket.tokens -= size

    def take(self, size: int) -> bool:
        """Spend `size` bytes; False when the budget is used up for now."""
        if self._bucket is None:
            return True
        with self._lock:
            return self._bucket.take(size, self._clock())
