"""The embedded chain as a child process of a node.

Rule: the chain outlives no node that started it, and a node uses the chain that is already there rather than
start a second one.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import IO

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
        self._said: IO[bytes] | None = None
        self.url = ""

    async def start(self) -> str:
        """Start it; return its address once it answers.

        Raises: ConfigError with the process's own code, such as port-taken, chain-in-use or
        chain-journal-corrupt; Unavailable chain-not-ready.
        """
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 closed by `stop` and `kill`
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
            stderr=self._said,  # a file, because nobody would empty a pipe
        )
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                self.url = await self._ready(process)
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
        self._forget_words()

    async def kill(self) -> None:
        """End it as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.communicate()
        self._forget_words()

    async def _ready(self, process: asyncio.subprocess.Process) -> str:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if line.startswith(READY):
            return line.removeprefix(READY).decode().strip()
        await process.wait()
        said = self._last_words()
        code, _, text = said.partition(": ")
        known = code.isascii() and code.replace("-", "").isalpha() and code.islower()
        raise ConfigError(
            text or "The embedded chain ended at once.", code=code if known else "chain-not-ready", said=said
        )

    def _last_words(self) -> str:
        if self._said is None:
            return ""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _forget_words(self) -> None:
        said, self._said = self._said, None
        if said is not None:
            said.close()
