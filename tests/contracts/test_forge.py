"""The Solidity tests pass; they run in forge, with the npm compiler."""

from __future__ import annotations

import subprocess

import pytest

from contracts.npm_tools import CONTRACTS, forge


@pytest.mark.timeout(600)
def test_solidity_tests_pass() -> None:
    done = subprocess.run(
        [str(forge()), "test", "--fuzz-seed", "0x1"],
        cwd=CONTRACTS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
