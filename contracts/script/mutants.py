# ruff: noqa: S603, S607 - runs the compiler and the tests of this repository
"""Mutation test of the contracts: `python contracts/script/mutants.py --sample 60 --seed 3`.

Each mutant is one small change of one line of the sources, compiled by itself; the pip-only tests run against it. A
mutant that passes them all survives, and shows either a missing test or code that makes no difference. Nothing in the
working tree is touched.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONTRACTS = Path(__file__).resolve().parents[1]
REPOSITORY = CONTRACTS.parent
TESTS = {
    "Warranty.sol": ["test_warranty.py"],
    "Bonds.sol": ["test_warranty.py"],
    "DeliveryTracking.sol": ["test_tracking.py"],
}
ESCROW_TESTS = [f"test_escrow_{part}.py" for part in ("funding", "delivery", "ends", "attacks", "model")]
TEST_SECONDS = 180

# (what is changed, into what): each match of each pattern is one mutant.
SWAPS = [
    (r" == ", " != "),
    (r" != ", " == "),
    (r" <= ", " < "),
    (r" < ", " <= "),
    (r" >= ", " > "),
    (r" > ", " >= "),
    (r" && ", " || "),
    (r" \|\| ", " && "),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" \+= ", " -= "),
    (r" -= ", " += "),
    (r"(?<=[(\s])!(?=[\w(])", ""),
    (r" nonReentrant\b", ""),
    (r" paysLast\b", ""),
]
DROPPED = re.compile(
    r"^\s*(if \(.*\) revert .*;|_require\w+\(.*\);|_pay\(.*\);|_check\w+\(.*\);|emit .*;|_end\(.*\);)$"
)


@dataclass(frozen=True)
class Mutant:
    file: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before.strip()}  →  {self.after.strip() or '(dropped)'}"


def mutants() -> Iterator[Mutant]:
    """Yield every mutant of every source that ships."""
    for path in sorted((CONTRACTS / "src").glob("*.sol")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.strip().startswith(("//", "*", "import", "pragma", "for (", '"')):
                continue
            if DROPPED.match(line):
                yield Mutant(path.name, number, line, "")
            for pattern, new in SWAPS:
                for match in re.finditer(pattern, line.split("//")[0]):
                    yield Mutant(path.name, number, line, line[: match.start()] + new + line[match.end() :])


class Workshop:
    """A copy of the contracts in which mutants are made and tried."""

    def __init__(self, place: Path) -> None:
        self.contracts = place / "contracts"
        for folder in ("src", "test/fixtures", "script", "halle_contracts"):
            shutil.copytree(CONTRACTS / folder, self.contracts / folder)
        (self.contracts / "node_modules").symlink_to(CONTRACTS / "node_modules")

    def survives(self, mutant: Mutant) -> bool | None:
        """Return whether the tests pass; None when the mutant does not compile."""
        path = self.contracts / "src" / mutant.file
        source = path.read_text()
        lines = source.splitlines()
        lines[mutant.line - 1] = mutant.after
        try:
            path.write_text("\n".join(lines) + "\n")
            made = subprocess.run(
                ["node", str(self.contracts / "script" / "compile.mjs")], capture_output=True, check=False
            )
            return None if made.returncode else self._passes(TESTS.get(mutant.file, ESCROW_TESTS))
        finally:
            path.write_text(source)

    def _passes(self, files: list[str]) -> bool:
        tests = [str(REPOSITORY / "tests" / "contracts" / name) for name in files]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        try:
            done = subprocess.run(
                command,
                cwd=REPOSITORY,
                env=os.environ | {"PYTHONPATH": str(self.contracts)},
                capture_output=True,
                timeout=TEST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def main() -> int:
    """Try a sample of the mutants and print the survivors."""
    parser = argparse.ArgumentParser(description="Mutation test of the contracts")
    parser.add_argument("--sample", type=int, default=0, help="how many mutants; 0 = all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = list(mutants())
    print(f"{len(chosen)} mutants", flush=True)
    random.Random(options.seed).shuffle(chosen)  # noqa: S311 - picks tests, guards nothing
    chosen = chosen[: options.sample or None]
    killed = survived = 0
    with tempfile.TemporaryDirectory() as place:
        workshop = Workshop(Path(place))
        for mutant in chosen:
            verdict = workshop.survives(mutant)
            killed += verdict is False
            survived += verdict is True
            if verdict is True:
                print(f"survived: {mutant}", flush=True)
            if (killed + survived) % 10 == 0:
                print(f"  {killed} killed, {survived} survived", flush=True)
    print(f"{killed} of {killed + survived} killed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
