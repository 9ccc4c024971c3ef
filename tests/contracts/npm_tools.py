"""Which npm-installed tools are here; a missing one skips its test by name, or fails it when all are required."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from requirements import missing

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
MODULES = CONTRACTS / "node_modules"
_ARCH = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "none")
_SYSTEM = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "none")
FORGE = MODULES / f"@foundry-rs/forge-{_SYSTEM}-{_ARCH}" / "bin" / "forge"


def node() -> str:
    """Return the path of node with the compiler installed, or skip."""
    path = shutil.which("node")
    if path is None:
        missing("node", "install Node.js 20 or newer")
    if not (MODULES / "solc").is_dir() or not (MODULES / "@openzeppelin").is_dir():
        missing("npm package solc", "run `make abi`, or `npm ci --ignore-scripts` in contracts/")
    return path


def forge() -> Path:
    """Return the native forge binary (its npm wrapper hides a failing exit code), or skip."""
    node()
    if not FORGE.is_file():
        missing("forge", "run `npm ci --ignore-scripts` in contracts/")
    return FORGE
