"""The committed artifacts are what the compiler makes of the committed sources, byte for byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import halle_contracts
from contracts.evm_market import FIXTURES
from contracts.npm_tools import CONTRACTS, node


@pytest.mark.timeout(300)
def test_artifacts_are_compiled_from_these_sources(tmp_path: Path) -> None:
    command = [node(), str(CONTRACTS / "script" / "compile.mjs"), "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    committed = CONTRACTS / "halle_contracts" / "artifacts"
    for fresh, kept in ((tmp_path / "artifacts", committed), (tmp_path / "fixtures", FIXTURES)):
        names = {path.name for path in kept.glob("*.json")}
        assert names == {path.name for path in fresh.glob("*.json")}
        stale = [name for name in sorted(names) if (kept / name).read_bytes() != (fresh / name).read_bytes()]
        assert not stale, f"Stale artifacts {stale}: run `make abi`."


@pytest.mark.parametrize("name", halle_contracts.NAMES)
def test_artifacts_carry_no_metadata_and_the_legacy_pipeline(name: str) -> None:
    made = halle_contracts.artifact(name)
    assert made.settings["viaIR"] is False
    assert made.settings["evmVersion"] == "cancun"
    assert made.settings["metadata"] == {"bytecodeHash": "none", "appendCBOR": False}
    assert made.compiler.startswith("0.8.37+")
    assert b"solc" not in made.runtime


def test_lock_file_names_no_registry() -> None:
    lock = (CONTRACTS / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "http" not in lock.replace("https://github.com", "").replace("https://opencollective", "")
