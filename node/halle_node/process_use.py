"""What this process takes of the machine."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessUse:
    """Units: bytes, seconds; `open_files` is -1 where the system does not say."""

    resident_bytes: int
    open_files: int
    cpu_s: float


def process_use() -> ProcessUse:
    """Return what this process takes now."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return ProcessUse(_resident_bytes(spent.ru_maxrss), _open_files(), spent.ru_utime + spent.ru_stime)


def _resident_bytes(highest: int) -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        # Elsewhere only the highest so far is told: in bytes on macOS, in KiB on others.
        return highest if sys.platform == "darwin" else highest * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder)) - 1  # one of them is the listing itself
        except OSError:
            continue
    return -1
