"""Fill the regions of docs/contracts.md from the code: state diagrams, fields, events and reverts.

A region `<!-- begin NAME -->` … `<!-- end NAME -->` is replaced by the text NAME; `make docs` writes, `make check`
compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from halle_contracts import CAUSES, SHIPPED, UNKNOWN, artifact
from halle_protocol.order_table import ACTIONS, HOW, TRANSITIONS, ActionRule, Status
from halle_protocol.warranty import TRANSITIONS as CERTIFICATE_TRANSITIONS

ROOT = Path(__file__).resolve().parent.parent
INTERFACES = ROOT / "contracts" / "src" / "interfaces"
CONTRACTS = (*SHIPPED, "ArbiterERC792")
_REGION = re.compile(r"(<!-- begin ([a-z-]+) -->\n)(.*?)(<!-- end \2 -->)", re.DOTALL)
_STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\}", re.DOTALL | re.MULTILINE)
_COMMENTED = re.compile(r"((?:^ *///[^\n]*\n)*)^ *(?:error|event) (\w+)\(", re.MULTILINE)

CLOSERS = {
    "released": "release",
    "claimed": "claim",
    "refunded": "refund",
    "settled": "accept_settlement",
    "lapsed": "lapse",
    "reclaimed": "reclaim",
    "ruled": "rule",
    "defaulted": "close_by_default",
}
"""The action behind each way to close."""


def filled(text: str) -> str:
    """Return a page with its regions replaced."""
    known = regions()
    return _REGION.sub(lambda match: f"{match[1]}\n{known[match[2]]}\n{match[4]}", text)


def regions() -> dict[str, str]:
    """Return every region by its name."""
    return {
        "order-states": _diagram([*_steps(), *_closings()]),
        "certificate-states": _diagram(
            _merged((a.name.title(), b.name.title(), event) for a, event, b in CERTIFICATE_TRANSITIONS)
        ),
        "moves": _moves(),
        "fields": _fields(),
        "events": _events(),
        "reverts": _reverts(),
    }


def _diagram(edges: list[tuple[str, str, str]]) -> str:
    """Return a Mermaid state diagram; "None" is where everything starts."""
    named = [("[*]" if a == "None" else a, "[*]" if b == "None" else b, label) for a, b, label in edges]
    return "```mermaid\nstateDiagram-v2\n" + "".join(f"    {a} --> {b}: {label}\n" for a, b, label in named) + "```\n"


def _steps() -> list[tuple[str, str, str]]:
    rows = (row for row in TRANSITIONS if row.target != Status.CLOSED and row.source != row.target)
    return _merged((row.source.name.title(), row.target.name.title(), row.event) for row in rows)


def _closings() -> list[tuple[str, str, str]]:
    """Return how each state can close, by the actions its table allows."""
    edges = []
    for row in TRANSITIONS:
        if row.target == Status.CLOSED:
            ways = [word for word, action in CLOSERS.items() if _allows(action, row.source)]
            edges.append((row.source.name.title(), "Closed", ", ".join(ways)))
    return edges


def _allows(action: str, status: Status) -> bool:
    return any(rule.name == action and status in rule.statuses for rule in ACTIONS)


def _merged(rows: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Join the labels of edges between the same two states."""
    edges: dict[tuple[str, str], list[str]] = {}
    for source, target, label in rows:
        edges.setdefault((source, target), []).append(label)
    return [(source, target, ", ".join(dict.fromkeys(labels))) for (source, target), labels in edges.items()]


def _moves() -> str:
    rules = [rule for rule in ACTIONS if "chain" in rule.channels and "warranty" not in rule.name]
    rows = [(f"`{r.name}`", ", ".join(r.by), ", ".join(s.name.title() for s in r.statuses), _when(r)) for r in rules]
    codes = ", ".join(f"{code} {word}" for code, word in HOW.items())
    return _table(("move", "by", "from", "when"), rows) + f"\n`how` in the event `Closed`: {codes}.\n"


def _when(rule: ActionRule) -> str:
    times = {"before": "≤ deadline", "after": "> deadline", "any": "any time"}
    words = {
        "held": "",
        "proposal": "the other side proposed",
        "code": "with the code",
        "terms": "with a quote",
        "carrier": "a carrier is named",
        "backup": "a backup arbiter is named",
        "no-backup": "no backup arbiter is named",
    }
    needs = [words.get(need, need.replace("-", " ")) for need in rule.needs if need != "wanted"]
    return ", ".join([times[rule.when], *filter(None, needs)])


def _fields() -> str:
    parts = []
    for path in sorted(INTERFACES.glob("*.sol")):
        for name, body in _STRUCT.findall(path.read_text(encoding="utf-8")):
            parts.append(f"`{name}` ({path.name}):\n\n" + _table(("field", "type", "meaning"), _struct_rows(body)))
    return "\n".join(parts)


def _struct_rows(body: str) -> list[tuple[str, ...]]:
    """Return one row per field; fields without words of their own share those above them."""
    rows, words, fresh = [], "", False
    for line in map(str.strip, body.splitlines()):
        if line.startswith("///"):
            words = f"{words} {line[3:].strip()}" if fresh else line[3:].strip()
            fresh = True
        elif match := re.fullmatch(r"(\w+) (\w+);", line):
            rows.append((f"`{match[2]}`", match[1], words))
            fresh = False
    return rows


def _events() -> str:
    rows = []
    for name in CONTRACTS:
        for item in artifact(name).abi:
            if item["type"] == "event":
                fields = [f"{f['name']}{' *' if f['indexed'] else ''}" for f in item["inputs"]]
                rows.append((name, f"`{item['name']}`", ", ".join(fields), _comments().get(item["name"], "")))
    return _table(("contract", "event", "fields (* indexed)", "note"), rows)


def _reverts() -> str:
    where: dict[str, list[str]] = {}
    fields: dict[str, str] = {}
    for name in CONTRACTS:
        for item in artifact(name).abi:
            if item["type"] == "error":
                where.setdefault(item["name"], []).append(name)
                fields[item["name"]] = ", ".join(part["name"] for part in item["inputs"])
    notes = _comments()
    rows = [
        (
            f"`{error}({fields[error]})`",
            ", ".join(names),
            notes.get(error, ""),
            f"`{_cause(error)[0]}`",
            _cause(error)[1],
        )
        for error, names in sorted(where.items())
    ]
    return _table(("error", "contracts", "meaning", "our cause", "next step"), rows)


def _cause(error: str) -> tuple[str, str]:
    return CAUSES.get(error, UNKNOWN)


def _comments() -> dict[str, str]:
    """Return the words above each error or event of the interfaces."""
    found: dict[str, str] = {}
    for path in [*sorted(INTERFACES.glob("*.sol")), INTERFACES.parent / "ArbiterERC792.sol"]:
        for comment, name in _COMMENTED.findall(path.read_text(encoding="utf-8")):
            lines = [line.strip().removeprefix("///").strip() for line in comment.splitlines()]
            words = " ".join(lines).removeprefix("@notice ")
            if words and words not in found.get(name, ""):
                found[name] = f"{found[name]} {words}" if name in found else words
    return found


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or with `--check` say whether it is out of date."""
    page = ROOT / "docs" / "contracts.md"
    text = page.read_text(encoding="utf-8")
    fresh = filled(text)
    if fresh == text:
        return 0
    if "--check" in sys.argv[1:]:
        print("out of date, run `make docs`: contracts.md")
        return 1
    page.write_text(fresh, encoding="utf-8")
    print("written: contracts.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
