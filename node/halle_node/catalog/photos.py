"""Pictures made safe: whatever a file claims to be, what is stored is a WebP this node encoded itself.

Rule: no picture is decoded in the node's own process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from halle_node.blocks import BlockStore
from halle_node.catalog.product import Photo
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.unixfs import build_file

WORKER = Path(__file__).with_name("photo_worker.py")
MIME = "image/webp"
MAX_FILE_BYTES = 20 << 20
PATIENCE_S = 60.0
# A process that has opened many pictures is replaced, so that one bad picture's traces do not last.
PICTURES_A_PROCESS = 50
HINTS = {
    "image-too-large": "Use a picture of at most 32 million pixels.",
    "image-format": "Save it as JPEG, PNG or WebP.",
    "image-damaged": "Export the picture again.",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A picture ready to be published. `full` is at most 1600 pixels wide or high, `thumb` 480."""

    full: bytes
    thumb: bytes
    width: int
    height: int


class PhotoStudio:
    """One confined process at a time, restarted when it fails. Bound to the loop that uses it."""

    def __init__(self, *, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._max_file_bytes = max_file_bytes
        self._process: asyncio.subprocess.Process | None = None
        self._served = 0
        self._turn = asyncio.Lock()

    async def prepare(self, data: bytes) -> Prepared:
        """The picture and thumbnail in `data`.

        Raises: Refused("image-too-large" | "image-format" | "image-damaged"), Unavailable("image-worker-failed").
        """
        if len(data) > self._max_file_bytes:
            raise Refused(
                f"The picture file has {len(data) >> 20} MB.",
                code="image-too-large",
                hint=f"Use a file of at most {self._max_file_bytes >> 20} MB.",
            )
        async with self._turn:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    return await self._ask(data)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as exc:
                await self._stop()
                # Only a picture that breaks its limits ends the process: memory or time.
                raise Refused(
                    "The picture could not be opened within its limits.",
                    code="image-too-large",
                    hint=HINTS["image-too-large"],
                ) from exc
            except BaseException:
                # Half an answer may be in the pipe; nobody must read it as the next one.
                if not self._in_step:
                    await asyncio.shield(self._stop())
                raise

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            await self._stop()

    _in_step = True

    async def _ask(self, data: bytes) -> Prepared:
        process = await self._running()
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise Unavailable("The picture process has no pipes.", code="image-worker-failed", hint="Try again.")
        self._in_step = False
        stdin.write(struct.pack(">I", len(data)))
        stdin.write(data)
        await stdin.drain()
        (length,) = struct.unpack(">I", await stdout.readexactly(4))
        reply = json.loads(await stdout.readexactly(length))
        if not reply["ok"]:
            self._in_step = True
            raise Refused(reply["message"], code=reply["code"], hint=HINTS.get(reply["code"], ""))
        full, thumb = await stdout.readexactly(reply["full"]), await stdout.readexactly(reply["thumb"])
        self._in_step = True
        return Prepared(full, thumb, reply["width"], reply["height"])

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._served >= PICTURES_A_PROCESS:
            await self._stop()
        if self._process is None:
            pipe = asyncio.subprocess.PIPE
            # -I keeps the environment and the current folder out of the worker.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(WORKER),
                stdin=pipe,
                stdout=pipe,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
            )
            self._served = 0
        self._served += 1
        return self._process

    async def _stop(self) -> None:
        process, self._process, self._in_step = self._process, None, True
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Read to the end, so that the pipe's transport closes with the process.
        if process.stdout is not None:
            await process.stdout.read()
        await process.wait()


def store_photo(blocks: BlockStore, prepared: Prepared) -> Photo:
    """Put a picture and its thumbnail into the block store; return what names them."""
    full, thumb = build_file(prepared.full), build_file(prepared.thumb)
    blocks.put_many([*full.blocks.items(), *thumb.blocks.items()])
    return Photo(cid=full.root, thumb=thumb.root, mime=MIME, width=prepared.width, height=prepared.height)
