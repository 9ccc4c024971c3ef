"""The note a running node leaves in its home, so that commands on the same machine find it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "run/node.json"


@dataclass(frozen=True)
class RunFile:
    """Where a running node listens. `token` opens its local API and is readable by the owner alone."""

    pid: int
    local_url: str
    shop_url: str
    token: str
    peer_id: str = ""
    addrs: tuple[str, ...] = ()
    rpc_url: str = ""


def write_run_file(home: Path, found: RunFile) -> None:
    """Write the note atomically, mode 0600."""
    path = home / NAME
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.touch(mode=0o600, exist_ok=True)
    draft.write_text(json.dumps(asdict(found)), encoding="utf-8")
    draft.replace(path)


def remove_run_file(home: Path) -> None:
    """Remove the note; absent is fine."""
    (home / NAME).unlink(missing_ok=True)


def read_run_file(home: Path) -> RunFile | None:
    """Return the note of a process that is still alive, or None (absent, damaged, or left by a crash)."""
    try:
        fields = json.loads((home / NAME).read_text(encoding="utf-8"))
        found = RunFile(**{**fields, "addrs": tuple(fields.get("addrs", ()))})
    except (OSError, ValueError, TypeError):
        return None
    return found if _alive(found.pid) else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
