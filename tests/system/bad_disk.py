"""A disk that fails on order under one node, by a little C library that its process loads first (bad_disk.c)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from halle_cli.demo.actors import NodeProcess
from requirements import missing

SOURCE = Path(__file__).with_name("bad_disk.c")
KINDS = ("full", "readonly", "fsync")
CODES = {"disk-full", "database-read-only", "database-io"}
"""What a node says when its disk fails."""


class BadDisk:
    """The disk of nodes that are started in `under`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or missing("cc", "on Debian, apt-get install gcc")
        self._library = folder / "bad_disk.so"
        self._order = folder / "bad_disk.order"
        command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(self._library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True)

    @contextmanager
    def under(self, node: NodeProcess) -> Iterator[None]:
        """Let processes that begin in the block live on this disk; their home is its root."""
        settings = {"LD_PRELOAD": self._library, "BAD_DISK": self._order, "BAD_DISK_ROOT": node.home}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, os.fspath(value))
            yield

    @contextmanager
    def fails(self, kind: str, after: int = 0) -> Iterator[None]:
        """Let every write (or sync) after the first few fail, until the end of the block."""
        draft = self._order.with_suffix(".draft")
        draft.write_text(f"{kind} {after}")
        draft.replace(self._order)
        try:
            yield
        finally:
            self._order.unlink()
