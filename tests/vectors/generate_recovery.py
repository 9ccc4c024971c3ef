"""Write the test vectors of docs/spec/16: `python tests/vectors/generate_recovery.py`.

HPKE draws an ephemeral key, so the sealed file is kept from the last run as long as it still opens.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from halle_node.backup.stream import SealedReader, SealedWriter, make_header, open_key, read_header
from halle_node.keys.phrase import codes_key, recovery_seed, store_key
from halle_node.keys.recovery import recovery_of
from halle_protocol.errors import HalleError
from halle_protocol.keys import address_of, delivery_code_hash

FILE = Path(__file__).with_name("recovery_valid.json")
PHRASES = (
    "test test test test test test test test test test test junk",
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
)
CLEAR = b"Everything a shop has, in one file.\n"
KEY, MADE = bytes(range(32)), 1_790_000_000


def case_of(phrase: str, known: str) -> dict[str, Any]:
    """Return what comes from one phrase."""
    private, recovery = recovery_of(phrase)
    order_hash = bytes(range(32))
    code = recovery.delivery_code(order_hash)
    return {
        "phrase": phrase,
        "store": address_of(store_key(phrase)).hex(),
        "recovery_seed": recovery_seed(phrase).hex(),
        "recovery_id": recovery.prekey.id,
        "codes_key": codes_key(phrase).hex(),
        "order_hash": order_hash.hex(),
        "delivery_code": code.hex(),
        "delivery_code_hash": delivery_code_hash(code).hex(),
        "backup": known if opens(known, private) else sealed(phrase).hex(),
        "clear": CLEAR.hex(),
    }


def sealed(phrase: str) -> bytes:
    """Return a small back-up file."""
    file, recovery = io.BytesIO(), recovery_of(phrase)[1]
    writer = SealedWriter(file, KEY, make_header(KEY, recovery.prekey, address_of(store_key(phrase)), MADE))
    writer.write(CLEAR)
    writer.finish()
    return file.getvalue()


def opens(known: str, private: bytes) -> bool:
    """Say whether a file of the last run still opens."""
    try:
        return read(bytes.fromhex(known), private) == CLEAR
    except HalleError:
        return False


def read(data: bytes, private: bytes) -> bytes:
    """Return what is in a back-up file."""
    file = io.BytesIO(data)
    header = read_header(file)
    return SealedReader(file, open_key(header, private), header).read()


def main() -> None:
    known = {case["phrase"]: case["backup"] for case in json.loads(FILE.read_text())["cases"]} if FILE.exists() else {}
    cases = [case_of(phrase, known.get(phrase, "")) for phrase in PHRASES]
    value = {"spec": "docs/spec/16-recovery.md", "cases": cases}
    FILE.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
