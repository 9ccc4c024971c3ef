"""What a mutant is: one small change of one line of a contract that ships."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "src"

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
    (r" \* ", " / "),
    (r" / ", " * "),
    (r" \+= ", " -= "),
    (r" -= ", " += "),
    (r"(?<=[(\s])!(?=[\w(])", ""),
    (r" nonReentrant\b", ""),
    (r" paysLast\b", ""),
    (r"(?<= = )(\d[\d_]*)(?= |;)", r"(\1 + 1)"),
    (r"\bif \((?!.* revert )", "if (true || "),
    (r"\bif \((?!.* revert )", "if (false && "),
]
# A whole statement that can be left out: a check, a call, an event, an assignment (not a declaration).
DROPPED = re.compile(
    r"^\s*(if \(.*\) revert .*;|_\w+\(.*\);|emit .*;|(\w[\w.\[\]]*|\([\w.]+(, [\w.]+)*\)) [-+]?= [^;]*;)$"
)


@dataclass(frozen=True)
class Mutant:
    """One changed line; two mutants of one text on different lines differ by their line."""

    file: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.change}"

    @property
    def change(self) -> str:
        """What is changed, without the line number, which any edit above it would move."""
        return f"{self.before.strip()}  →  {self.after.strip() or '(dropped)'}"

    def source(self) -> str:
        """Return the whole changed file."""
        lines = (SOURCES / self.file).read_text("utf-8").splitlines()
        lines[self.line - 1] = self.after
        return "\n".join(lines) + "\n"


def mutants() -> Iterator[Mutant]:
    """Yield every mutant of every source that ships."""
    for path in sorted(SOURCES.glob("*.sol")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            for after in dict.fromkeys(_changes(line)):
                yield Mutant(path.name, number, line, after)


def _changes(line: str) -> Iterator[str]:
    if line.strip().startswith(("//", "*", "import", "pragma", "for (", '"')):
        return
    if DROPPED.match(line):
        yield ""
    code = line.split("//")[0]
    for pattern, new in SWAPS:
        for match in re.finditer(pattern, code):
            yield line[: match.start()] + match.expand(new) + line[match.end() :]
