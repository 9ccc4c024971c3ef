"""What the Solidity tests reach of the shipped sources: at least 99 % of the lines and of the branches of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contracts.npm_tools import CONTRACTS, forge, run_on_contracts

WANTED = 0.99
SOURCES = {path.name for path in (CONTRACTS / "src").glob("*.sol")}
# Forge keeps no account of functions outside of contracts. These two files hold nothing else, and no branch.
FREE = {"OrderWord.sol", "RawTerms.sol"}


@dataclass
class Reached:
    """What was executed of one source. Shape: line number -> times; (line, block, branch) -> times."""

    lines: dict[int, int] = field(default_factory=dict)
    branches: dict[tuple[str, ...], int] = field(default_factory=dict)

    def share(self, what: str) -> tuple[int, int]:
        """Return (reached, all) of "lines" or "branches"."""
        counts = list(getattr(self, what).values())
        return sum(1 for count in counts if count), len(counts)


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reached]:
    """Return what the tests reach, by source; without the random campaigns, whose luck must not count."""
    report = tmp_path_factory.mktemp("coverage") / "lcov.info"
    command = [str(forge()), "coverage", "--report", "lcov", "--report-file", str(report), "--fuzz-seed", "0x1"]
    command += ["--no-match-contract", "Invariant|Handler|Symbolic"]
    done = run_on_contracts(command, "coverage", FOUNDRY_PROFILE="coverage")
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    return dict(parsed(report))


def parsed(report: Path) -> Iterator[tuple[str, Reached]]:
    """Read an LCOV report."""
    for record in report.read_text(encoding="utf-8").split("end_of_record"):
        name = re.search(r"^SF:src/(\w+\.sol)$", record, re.MULTILINE)
        if name is None:
            continue
        found = Reached()
        for line, count in re.findall(r"^DA:(\d+),(\d+)", record, re.MULTILINE):
            found.lines[int(line)] = int(count)
        for *branch, count in re.findall(r"^BRDA:(\d+),(\d+),(\d+),(\d+|-)$", record, re.MULTILINE):
            found.branches[tuple(branch)] = 0 if count == "-" else int(count)
        yield name[1], found


@pytest.mark.timeout(600)
def test_every_source_is_reached_line_by_line_and_branch_by_branch(reached: dict[str, Reached]) -> None:
    assert set(reached) == SOURCES - FREE
    print(f"\n{'source':<22}{'lines':>12}{'branches':>12}")
    short = []
    for name, found in sorted(reached.items()):
        (lines, all_lines), (branches, all_branches) = found.share("lines"), found.share("branches")
        print(f"{name:<22}{lines:>6}/{all_lines:<5}{branches:>6}/{all_branches:<5}")
        assert all_lines > 15
        if lines < WANTED * all_lines or branches < WANTED * all_branches:
            never = [number for number, count in found.lines.items() if not count]
            never += [int(key[0]) for key, count in found.branches.items() if not count]
            short.append(f"{name}: lines {sorted(never)}")
    assert not short, f"Not reached: {short}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(FREE))
def test_free_functions_are_called_from_a_line_that_was_reached(name: str, reached: dict[str, Reached]) -> None:
    text = (CONTRACTS / "src" / name).read_text(encoding="utf-8")
    assert not re.search(r"\b(if|while|switch|case|require|revert)\b|\bfor \(|\?", re.sub(r"//.*", "", text)), (
        "has branches"
    )
    functions = re.findall(r"^function (\w+)\(", text, re.MULTILINE)
    assert functions
    for function in functions:
        assert any(calls(source, found, function) for source, found in reached.items()), f"{function} is never called"


def calls(source: str, found: Reached, function: str) -> bool:
    """Say whether a line of the source that was executed calls the function."""
    lines = (CONTRACTS / "src" / source).read_text(encoding="utf-8").splitlines()
    return any(count and re.search(rf"\b{function}\(", lines[number - 1]) for number, count in found.lines.items())
