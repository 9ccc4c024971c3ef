"""What a chain's answer to a broadcast means.

Source: the texts of go-ethereum, erigon, nethermind, besu, reth and anvil; there are no codes for these.
"""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """Shape: (error code, whether the chain has the transaction or its nonce already)."""

    KNOWN = ("", True)
    NONCE_USED = ("nonce-used", True)  # by this transaction or another: `_follow` finds out by hash
    UNDERPRICED = ("underpriced", False)
    NO_FUNDS = ("insufficient-funds", False)
    OTHER = ("rpc-error", False)

    @property
    def code(self) -> str:
        return self.value[0]

    @property
    def taken(self) -> bool:
        return self.value[1]


_SIGNS = (
    (
        Verdict.KNOWN,
        ("already known", "known transaction", "alreadyknown", "already imported", "already exist"),
    ),
    (Verdict.NONCE_USED, ("nonce too low", "nonce is too low", "oldnonce", "nonce has already been used")),
    (
        Verdict.NO_FUNDS,
        ("insufficient funds", "insufficientfunds", "upfront cost exceeds", "doesn't have enough"),
    ),
    (
        Verdict.UNDERPRICED,
        ("underpriced", "fee too low", "feetoolow", "less than block base fee", "gas price too low"),
    ),
)


def send_verdict(text: str) -> Verdict:
    """Return what to do after the chain answered a broadcast with this error."""
    lowered = text.lower()
    for verdict, signs in _SIGNS:
        if any(sign in lowered for sign in signs):
            return verdict
    return Verdict.OTHER
