"""Write halle_contracts/deployments.json: where this release's contracts are, for readers in any language.

`make abi` runs it after the compiler. The addresses follow from the code; `chains` (deployments elsewhere, by chain id)
is kept as it is.
"""

from __future__ import annotations

import json
from pathlib import Path

from halle_contracts import DEPLOYER_ADDRESS, SALT, SHIPPED, artifact, predicted_address
from halle_protocol.keys import to_checksum

PAGE = Path(__file__).resolve().parents[1] / "halle_contracts" / "deployments.json"


def text() -> str:
    """Return the file as it should be."""
    return json.dumps(
        {
            "deployer": to_checksum(DEPLOYER_ADDRESS),
            "salt": "0x" + SALT.hex(),
            "sourceHash": artifact("Escrow").source_hash,
            "everyChain": {name: to_checksum(predicted_address(name)) for name in SHIPPED},
            "chains": json.loads(PAGE.read_text(encoding="utf-8"))["chains"],
        },
        indent=1,
    )


if __name__ == "__main__":
    PAGE.write_text(text() + "\n", encoding="utf-8")
