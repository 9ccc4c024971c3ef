"""The committed compiler output; `make abi` rewrites it, a test compares it byte for byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from halle_protocol.errors import LocalProtocolError

NAMES: Final = ("DeliveryTracking", "Escrow", "Warranty", "ArbiterERC792", "SignatureValidator", "TestToken")


@dataclass(frozen=True)
class Artifact:
    """One compiled contract.

    Shape: `runtime` has zeros where immutables go (`immutables`: name, start and length); see `deployed_runtime`.
    """

    name: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes
    runtime: bytes
    immutables: tuple[tuple[str, int, int], ...]
    source_hash: str
    compiler: str
    settings: dict[str, Any]

    def runtime_with(self, values: Mapping[str, bytes]) -> bytes:
        """Return the code that `eth_getCode` shows when the immutables have these values (addresses)."""
        runtime = bytearray(self.runtime)
        for name, start, length in self.immutables:
            runtime[start : start + length] = values[name].rjust(length, b"\0")
        return bytes(runtime)


@cache
def artifact(name: str) -> Artifact:
    """Return the artifact of one of `NAMES`.

    Raises: LocalProtocolError("contract-unknown").
    """
    if name not in NAMES:
        raise LocalProtocolError(f"There is no contract {name!r}; known: {', '.join(NAMES)}.", code="contract-unknown")
    stored = json.loads(files(__name__).joinpath(f"{name}.json").read_text("utf-8"))
    return Artifact(
        name=name,
        abi=tuple(stored["abi"]),
        bytecode=bytes.fromhex(stored["bytecode"][2:]),
        runtime=bytes.fromhex(stored["runtime"][2:]),
        immutables=tuple((hole["name"], hole["start"], hole["length"]) for hole in stored["immutables"]),
        source_hash=stored["sourceHash"],
        compiler=stored["compiler"],
        settings=stored["settings"],
    )
