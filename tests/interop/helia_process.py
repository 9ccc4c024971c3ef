"""Helia in a process of its own, driven over pipes."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from pathlib import Path
from typing import Any

from halle_protocol.cid import CID
from interop.engines import JS, node_js

STOP_S = 5


class HeliaFailed(Exception):
    """What Helia said instead of a result."""


class Helia:
    """A running `helia.mjs` on loopback; `call` runs one of its commands, one at a time."""

    def __init__(self, log: Path) -> None:
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [node_js(), JS / "helia.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
            )
        self.addrs: list[str] = self._answer()

    async def call(self, do: str, *args: Any) -> Any:
        return await asyncio.to_thread(self._ask, {"do": do, "args": [*map(_plain, args)]})

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        facts = json.loads(self._process.stdout.readline() or b'{"error": "the process ended"}')
        if "error" in facts:
            raise HeliaFailed(facts["error"])
        return facts["result"]

    def stop(self) -> None:
        try:
            self._process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def _plain(value: Any) -> Any:
    if isinstance(value, CID):
        return str(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
