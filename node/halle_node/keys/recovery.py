"""What the node keeps of the phrase while it is locked: whom to seal back-ups to, and where delivery codes come from.

Rule: neither opens a back-up or moves money; whoever restores the phrase has both again.
Spec: docs/spec/16-recovery.md §1
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

from halle_node.keys.phrase import codes_key, recovery_seed
from halle_protocol.errors import Unavailable
from halle_protocol.sealing import Prekey, make_prekey

CODE_BYTES = 16
ALWAYS = 2**53 - 1


@dataclass(frozen=True)
class Recovery:
    """`prekey` seals what only the phrase opens; `codes` makes delivery codes."""

    prekey: Prekey
    codes: bytes

    def delivery_code(self, order_hash: bytes) -> bytes:
        """Return the 16 bytes that prove the hand-over of the order with this hash."""
        return hmac.new(self.codes, order_hash, hashlib.sha256).digest()[:CODE_BYTES]

    def encode(self) -> bytes:
        """Return the file's bytes."""
        fields = {"suite": self.prekey.suite, "public": self.prekey.public.hex(), "codes": self.codes.hex()}
        return json.dumps({"id": self.prekey.id, **fields}).encode()


def recovery_of(phrase: str) -> tuple[bytes, Recovery]:
    """Return the private key that opens this store's back-ups, and what the node may keep."""
    private, prekey = make_prekey(recovery_seed(phrase), ALWAYS)
    return private, Recovery(prekey, codes_key(phrase))


def decode_recovery(data: bytes) -> Recovery:
    """Read back what `encode` wrote.

    Raises: Unavailable("keystore-damaged").
    """
    try:
        fields = json.loads(data)
        prekey = Prekey(fields["id"], fields["suite"], bytes.fromhex(fields["public"]), ALWAYS)
        return Recovery(prekey, bytes.fromhex(fields["codes"]))
    except (ValueError, KeyError, TypeError) as exc:
        raise Unavailable(
            "The file keys/recovery.json is damaged.",
            code="keystore-damaged",
            hint="Remove it; unlocking the store key makes it anew.",
        ) from exc
