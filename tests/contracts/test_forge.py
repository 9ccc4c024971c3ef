"""The Solidity tests pass; they run in forge, with the npm compiler."""

from __future__ import annotations

import re
import subprocess

import pytest

from contracts.npm_tools import CONTRACTS, forge

CAMPAIGNS = {"invariant_theLawsOfTheEscrow", "invariant_theLawsOfTheWarranty"}


@pytest.mark.timeout(900)
def test_solidity_tests_pass() -> None:
    done = subprocess.run(
        [str(forge()), "test", "--fuzz-seed", "0x1"],
        cwd=CONTRACTS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    ran = re.findall(r"\[PASS\] (invariant_\w+)\(\) \(runs: (\d+), calls: (\d+)", done.stdout)
    assert {name for name, runs, calls in ran if int(runs) >= 256 and int(calls) >= 256 * 500} == CAMPAIGNS
