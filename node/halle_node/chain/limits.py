"""Whether an endpoint's error means "less at a time" or "later".

Source: the texts of Infura, Alchemy, QuickNode, Ankr, Chainstack, BlastAPI, Cloudflare, go-ethereum, erigon,
nethermind and reth; the codes are shared by both kinds, so the text decides first.
"""

from __future__ import annotations

from enum import Enum


class Limit(Enum):
    """What was too much: requests in a time, or blocks and logs in one request."""

    RATE = "rate"
    RANGE = "range"


_RANGE_SIGNS = (
    "block range",
    "blocks range",
    "range is too",
    "range too",
    "range exceed",
    "range limit",
    "exceed max",
    "exceeds max",
    "exceeds the range",
    "maximum range",
    "more than 10000",
    "query returned more",
    "too many results",
    "max results",
    "logs matched by query exceeds",
    "response size",
    "response is too big",
    "query timeout",
    "is limited to",
    "limited to a",
    "too many blocks",
    "ranges over",
)
_RATE_SIGNS = (
    "rate limit",
    "ratelimit",
    "rate-limit",
    "too many requests",
    "request limit",
    "requests per second",
    "compute units",
    "request count exceeded",
    "exceeded the quota",
    "over quota",
    "capacity exceeded",
)
_RATE_CODES = frozenset({429, -32005, -32007, -32029, -32097})


def limit_of(method: str, code: int, text: str) -> Limit | None:
    """Return which limit an error speaks of, None when it is another error."""
    lowered = text.lower()
    if any(sign in lowered for sign in _RATE_SIGNS):
        return Limit.RATE
    if method == "eth_getLogs" and any(sign in lowered for sign in _RANGE_SIGNS):
        return Limit.RANGE
    if code in _RATE_CODES:
        # The one code without words: of logs it mostly means their number.
        return Limit.RANGE if method == "eth_getLogs" and code == -32005 else Limit.RATE
    return None
