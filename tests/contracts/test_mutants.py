"""The mutation test kills what it must, and would tell if a test were missing (`make mutants` tries them all)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from contracts.npm_tools import CONTRACTS, node

SCRIPT = CONTRACTS / "script" / "mutants.py"
# Of every contract and of every kind: a dropped check, call and assignment, a comparison, a sign, a connective.
MUST_DIE = (
    "bond.reserved += uint128(amount);  →  (dropped)",
    "if (nonce != nonces[merchant]) revert BadNonce(nonces[merchant]);  →  (dropped)",
    "if (at == 0 || at > block.timestamp + CLOCK_DRIFT) revert BadTime(at);  →  (dropped)",
    "credits[token][msg.sender] = 0;  →  (dropped)",
    "return made && _isSignedBy(signer, digest, inner);  →  return made || ",
    "uint256 fee = (held * raw(t).arbiterFeeBps) / ALL_BPS;  →  uint256 fee = (held / ",
    "_checkReceived(token, before, amount);  →  (dropped)",
    "if (p.coverLeft == 0) _end(id, p);  →  if (p.coverLeft != 0) ",
)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    node()
    command = [sys.executable, str(SCRIPT), "--quick", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300)
def test_mutants_of_a_fixed_sample_die() -> None:
    done = run(*(word for text in MUST_DIE for word in ("--only", text)))
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    assert "survived" not in done.stdout


def test_mutants_are_named_when_asked_for_in_vain() -> None:
    done = run("--only", "a line that no contract has")
    assert done.returncode == 1
    assert "No mutant says" in done.stderr
