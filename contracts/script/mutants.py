"""Mutation test of the contracts: `make mutants`, or `python contracts/script/mutants.py --file Till.sol --pip-only`.

Each mutant is one small change of one line. It is killed when a test fails against it, equivalent when the compiler
makes the same bytecode of it, and else it survives: a test is missing, or the code makes no difference. Survivors that
are known are listed, with the reason, in docs/security/mutants.md; a survivor that is not there fails the run.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mutant_operators import SOURCES, Mutant, mutants
from mutant_trial import REPOSITORY, SUITES, Compiler, Forge, PipTests, parts

EXPLAINED = REPOSITORY / "docs" / "security" / "mutants.md"


class Trials:
    """Tries mutants; each verdict is a line of a file, so that a run that was stopped goes on where it was."""

    def __init__(self, results: Path, tests: PipTests, forge: Forge | None) -> None:
        self._results = results
        self.verdicts: dict[str, tuple[str, str]] = {}
        if results.exists():
            for line in results.read_text().splitlines():
                seen = json.loads(line)
                self.verdicts[seen["mutant"]] = (seen["verdict"], seen["by"])
        self._compiler = Compiler()
        self._tests = tests
        self._forge = forge
        self._late: list[Mutant] = []

    def _made(self, mutants: list[Mutant], *, quick: bool) -> dict[str, str]:
        """Return the contracts that these mutants change, without any change."""
        found: dict[str, str] = {}
        for name in sorted({name for mutant in mutants for name in parts(mutant.file)}):
            source = (SOURCES / f"{name}.sol").read_text("utf-8")
            self._compiler.ask(f"{name}.sol", source, (name,), quick=quick)
            found |= self._compiler.answer()
        return found

    def try_all(self, chosen: list[Mutant]) -> None:
        """Try every mutant that has no verdict yet."""
        self.check_baseline(chosen)
        self.run(chosen)
        self.look_again()

    def check_baseline(self, chosen: list[Mutant]) -> None:
        """Every test must pass against the contracts as they are, or each mutant would seem killed."""
        failed = self._tests.failure(self._made(chosen, quick=True))
        if failed:
            raise SystemExit(f"The tests fail without any mutant: {failed}")

    def run(self, chosen: list[Mutant]) -> None:
        """Try each; while one is tested the next is compiled."""
        self._late = [mutant for mutant in chosen if self.verdicts.get(str(mutant), ("", ""))[0] == "survived"]
        waiting = [mutant for mutant in chosen if str(mutant) not in self.verdicts]
        self._ask(waiting[:1])
        for at, mutant in enumerate(waiting, 1):
            made = self._compiler.answer()
            self._ask(waiting[at : at + 1])
            verdict, by = self._judge(mutant, made)
            self._note(mutant, verdict, by)
            if verdict == "survived" or at % 25 == 0:
                print(f"{at}/{len(waiting)} {verdict}: {mutant}", flush=True)

    def _note(self, mutant: Mutant, verdict: str, by: str) -> None:
        """The last line about a mutant counts."""
        self.verdicts[str(mutant)] = (verdict, by)
        with self._results.open("a") as file:
            file.write(json.dumps({"mutant": str(mutant), "verdict": verdict, "by": by}) + "\n")

    def _ask(self, coming: list[Mutant], *, quick: bool = True) -> None:
        for mutant in coming:
            wanted = parts(mutant.file)
            if quick:  # what only forge tests need not be made before forge's turn
                wanted = tuple(name for name in wanted if name in SUITES) or wanted
            self._compiler.ask(mutant.file, mutant.source(), wanted, quick=quick)

    def _judge(self, mutant: Mutant, made: dict[str, str]) -> tuple[str, str]:
        if not made:
            return "invalid", "compiler"
        by = self._tests.failure(made)
        if by:
            return "killed", by
        self._late.append(mutant)
        return "survived", ""

    def look_again(self) -> None:
        """What survived the quick tests is compiled as it ships, and meets forge unless its bytecode is the same."""
        unchanged = self._made(self._late, quick=False)
        for mutant in self._late:
            self._ask([mutant], quick=False)
            made = self._compiler.answer()
            if all(code == unchanged[name] for name, code in made.items()):
                self._note(mutant, "equivalent", "same bytecode")
            elif by := self._forge and self._forge.failure(mutant):
                self._note(mutant, "killed", by)
            print(f"{self.verdicts[str(mutant)][0]}: {mutant}", flush=True)

    def close(self) -> None:
        self._compiler.close()


def explained() -> Counter[tuple[str, str]]:
    """Return the survivors that the page explains: how often each change of each file may survive."""
    found: Counter[tuple[str, str]] = Counter()
    if EXPLAINED.exists():
        for line in EXPLAINED.read_text("utf-8").splitlines():
            cells = [cell.strip() for cell in line.replace("\\|", "\0").split("|")]
            if len(cells) > 4 and cells[1].startswith("`") and ".sol" in cells[1]:
                found[cells[1].strip("`"), cells[2].strip("`").replace("\0", "|")] += 1
    return found


def _unexplained(chosen: list[Mutant], verdicts: dict[str, tuple[str, str]]) -> Iterator[Mutant]:
    left = explained()
    for mutant in chosen:
        if verdicts[str(mutant)][0] == "survived":
            left[mutant.file, mutant.change] -= 1
            if left[mutant.file, mutant.change] < 0:
                yield mutant


def _chosen(options: argparse.Namespace) -> list[Mutant]:
    found = [mutant for mutant in mutants() if not options.file or mutant.file in options.file]
    if options.pip_only or options.quick:
        found = [mutant for mutant in found if parts(mutant.file) != ("ArbiterERC792",)]
    if options.only:
        missing = [text for text in options.only if not any(text in str(mutant) for mutant in found)]
        if missing:
            raise SystemExit(f"No mutant says: {missing[0]}")
        found = [mutant for mutant in found if any(text in str(mutant) for text in options.only)]
    if not options.sample:
        return found
    known = explained()
    return random.Random(options.seed).sample(  # noqa: S311 - picks tests, guards nothing
        [mutant for mutant in found if (mutant.file, mutant.change) not in known], options.sample
    )


def main() -> int:
    """Try the mutants and print the score; exit 1 when one survives that nobody explained."""
    parser = argparse.ArgumentParser(description="Mutation test of the contracts")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="try only N, without the explained ones")
    parser.add_argument("--seed", type=int, default=0, help="which sample")
    parser.add_argument("--file", action="append", help="only the mutants of this source, e.g. Till.sol; repeatable")
    parser.add_argument("--only", action="append", metavar="TEXT", help="only mutants whose line says so; repeatable")
    parser.add_argument("--pip-only", action="store_true", help="leave forge, and what only forge tests, out")
    parser.add_argument("--quick", action="store_true", help="pip only, and without the random sequences")
    parser.add_argument("--results", type=Path, help="keep the verdicts here and go on where a run was stopped")
    parser.add_argument("--list", action="store_true", help="print the mutants and stop")
    options = parser.parse_args()
    chosen = _chosen(options)
    print(f"{len(chosen)} mutants", flush=True)
    if options.list:
        print(*chosen, sep="\n")
        return 0
    with tempfile.TemporaryDirectory() as place:
        tests = PipTests(Path(place), quick=options.quick)
        forge = None if options.pip_only or options.quick else Forge(Path(place))
        trials = Trials(options.results or Path(place) / "results", tests, forge)
        tests.serve(lambda: trials.try_all(chosen))
        trials.close()
    return report(chosen, trials.verdicts)


def report(chosen: list[Mutant], verdicts: dict[str, tuple[str, str]]) -> int:
    """Print the score; return 1 when a mutant survived that nobody explained."""
    score = Counter(verdicts[str(mutant)][0] for mutant in chosen)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(score.items())))
    missed = list(_unexplained(chosen, verdicts))
    print(*(f"unexplained: {mutant}" for mutant in missed), sep="\n", end="\n" if missed else "")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
