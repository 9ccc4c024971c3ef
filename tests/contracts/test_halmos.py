"""Every symbolic check is proven, for all callers, amounts and seconds it ranges over."""

from __future__ import annotations

import re

import pytest

from contracts.npm_tools import CONTRACTS, analyser, run_on_contracts

SOURCES = [path.read_text(encoding="utf-8") for path in sorted((CONTRACTS / "test").glob("*.symbolic.t.sol"))]
CHECKS = {
    name: body for text in SOURCES for name, body in re.findall(r"function (check_\w+)\((.*?)\n    }", text, re.S)
}


@pytest.mark.timeout(600)
def test_every_check_is_proven() -> None:
    command = [str(analyser("halmos")), "--match-contract", "SymbolicTest$", "--forge-build-out", "out/halmos"]
    done = run_on_contracts([*command, "--solver-timeout-assertion", "60000"], "halmos")
    proven = re.findall(r"\[PASS\]\S* (check_\w+)", done.stdout)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    assert sorted(proven) == sorted(CHECKS)
    assert len(proven) >= 18


@pytest.mark.parametrize("name", CHECKS)
def test_check_asserts_the_state_it_starts_from(name: str) -> None:
    """A check that starts from no order or certificate would hold for want of one."""
    first = re.search(r"assert\(|_claimed\(", CHECKS[name])
    attempt = re.search(r"= _as\(|_as\(", CHECKS[name])
    assert first is not None
    assert attempt is not None
    assert first.start() < attempt.start() or CHECKS[name][first.start() :].startswith("_claimed")
