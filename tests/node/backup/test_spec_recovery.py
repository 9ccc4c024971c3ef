"""What the spec says of the phrase and of the back-up file, against its vectors."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from halle_node.backup.stream import SealedReader, open_key, read_header
from halle_node.keys.phrase import codes_key, recovery_seed, store_key
from halle_node.keys.recovery import recovery_of
from halle_protocol.keys import address_of, delivery_code_hash

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "recovery_valid.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["phrase"].split()[0])
def test_phrase_gives_the_keys_and_opens_the_file_of_the_vector(case: dict[str, Any]) -> None:
    phrase = case["phrase"]
    private, recovery = recovery_of(phrase)
    assert address_of(store_key(phrase)).hex() == case["store"]
    assert recovery_seed(phrase).hex() == case["recovery_seed"]
    assert codes_key(phrase).hex() == case["codes_key"]
    assert recovery.prekey.id == case["recovery_id"]
    code = recovery.delivery_code(bytes.fromhex(case["order_hash"]))
    assert (code.hex(), delivery_code_hash(code).hex()) == (case["delivery_code"], case["delivery_code_hash"])
    file = io.BytesIO(bytes.fromhex(case["backup"]))
    header = read_header(file)
    assert header.store.hex() == case["store"]
    assert SealedReader(file, open_key(header, private), header).read().hex() == case["clear"]
