"""The Solidity tests pass; they run in forge, with the npm compiler, through both of its pipelines."""

from __future__ import annotations

import re
import subprocess

import pytest

from contracts.npm_tools import forge, run_on_contracts

CAMPAIGNS = {"invariant_theLawsOfTheEscrow", "invariant_theLawsOfTheWarranty"}


def campaigns(output: str, runs: int, depth: int) -> set[str]:
    """Return the invariants that held over at least so many calls."""
    ran = re.findall(r"\[PASS\] (invariant_\w+)\(\) \(runs: (\d+), calls: (\d+)", output)
    return {name for name, done, calls in ran if int(done) >= runs and int(calls) >= runs * depth}


def require_success(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]


@pytest.mark.timeout(1_800)
def test_solidity_tests_pass() -> None:
    done = run_on_contracts([str(forge()), "test", "--fuzz-seed", "0x1"], "legacy")
    require_success(done)
    assert campaigns(done.stdout, 256, 500) == CAMPAIGNS


@pytest.mark.timeout(1_800)
def test_solidity_tests_pass_through_the_other_pipeline() -> None:
    # That pipeline compiles a contract again for each test contract that deploys it, for minutes: the tables and the
    # campaigns, which make every call, stand for the rest.
    command = [str(forge()), "test", "--fuzz-seed", "0x1", "--no-match-contract", "HandlerTest"]
    command += ["--match-path", "test/*.{tree,invariant}.t.sol"]
    done = run_on_contracts(command, "ir", FOUNDRY_PROFILE="ir")
    require_success(done)
    assert campaigns(done.stdout, 8, 250) == CAMPAIGNS
