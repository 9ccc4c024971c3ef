"""Which of the contracts' tools are here; a missing one skips its test by name, or fails it when all are required."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

from requirements import missing

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "contracts"
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


def analyser(name: str) -> Path:
    """Return one of the pip-installed analysers (slither, halmos), or skip."""
    path = ROOT / ".tools" / "contracts" / "bin" / name
    if not path.is_file():
        missing(name, "run `make tools`")
    return path


def run_on_contracts(command: list[str], folder: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a tool on the contracts with forge on its path; `folder` keeps its output apart from that of others."""
    environment = os.environ | {
        "PATH": f"{forge().parent}{os.pathsep}{os.environ['PATH']}",
        "FOUNDRY_OUT": f"out/{folder}",
        "FOUNDRY_CACHE_PATH": f"cache/{folder}",
        "NO_COLOR": "1",
        **settings,
    }
    return subprocess.run(command, cwd=CONTRACTS, env=environment, capture_output=True, text=True, check=False)
