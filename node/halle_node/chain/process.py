"""The embedded chain as a child process of a node.

Rule: the chain outlives no node that started it, and a node uses the chain that is already there rather than
start a second one.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from halle_protocol.errors import ConfigError, Unavailable

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
READY = b"ready "


class EmbeddedChain:
    """One chain process over a folder.

    Shape: `url` is its JSON-RPC address once started; port 0 takes a free one.
    """

    def __init__(self, data: Path, port: int = 0) -> None:
        self._data = data
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> str:
        """Start it; return its address once it answers.

        Raises: ConfigError with the process's own code, such as port-taken, chain-in-use or
        chain-journal-corrupt; Unavailable chain-not-ready.
        """
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "halle_node.chain.embedded",
            "--data",
            str(self._data),
            "--port",
            str(self._port),
            "--with-parent",  # it ends when our end of its standard input closes, also when we are killed
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                self.url = await _ready(process)
        except TimeoutError as error:
            await self.stop()
            raise Unavailable(
                f"The embedded chain did not start in {READY_TIMEOUT_S:.0f} s.", code="chain-not-ready"
            ) from error
        except BaseException:
            await self.stop()
            raise
        return self.url

    async def stop(self) -> None:
        """Ask it to end, and wait until it did. Stopping what is not running is harmless."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()

    async def kill(self) -> None:
        """End it as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.communicate()


async def _ready(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    line = await process.stdout.readline()
    if line.startswith(READY):
        return line.removeprefix(READY).decode().strip()
    said = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
    code, _, text = (said[-1] if said else "").partition(": ")
    known = code.isascii() and code.replace("-", "").isalpha() and code.islower()
    raise ConfigError(text or "The embedded chain ended at once.", code=code if known else "chain-not-ready")
