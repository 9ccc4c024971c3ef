"""docs/gas.md: our figures, the bars of the design, and what others' contracts need for the same step.

The anchors' figures are measurements of their published sources, compiled with their own settings, on one chain
(anvil, Osaka), steady state like ours. A dash: that contract has no such step.
"""

from __future__ import annotations

import re
from typing import Final

PLAIN, PROXY, NATIVE = "plain ERC-20", "USDC-like", "native coin"
MONEYS: Final = (PLAIN, PROXY, NATIVE)
Figures = dict[str, dict[str, int]]
"""Gas by step and money."""

BARS: Final = (
    ("fund", PLAIN, 80_000),
    ("ship", PLAIN, 35_000),
    ("release", PLAIN, 47_000),
    ("claimMany, per order of 10", PLAIN, 17_000),
    ("dispute and rule", PLAIN, 105_000),
    ("fundWithAuthorization, relayed", PROXY, 132_000),
)

ANCHORS: Final = ("Base commerce-payments", "Kleros escrow v2", "Boson", "Origin", "OpenBazaar", "Circle refund")
OTHERS: Final[tuple[tuple[str, str, tuple[int | None, ...]], ...]] = (
    ("fund", PLAIN, (142_440, 165_061, 359_404, 194_300, 311_057, 150_878)),
    ("fund", PROXY, (160_504, 179_677, 375_030, 208_928, 325_685, 165_494)),
    ("fundWithAuthorization, relayed", PROXY, (144_173, None, None, None, None, None)),
    ("ship", PLAIN, (None, None, 152_964, 46_197, None, None)),
    ("release", PLAIN, (57_440, 53_473, 177_230, 73_488, 186_845, None)),
    ("release", PROXY, (68_346, 64_379, 187_954, 84_148, 197_739, None)),
    ("claim", PLAIN, (None, 55_119, 114_914, 75_396, 162_499, 87_279)),
    ("claimMany, per order of 10", PLAIN, (None, None, None, None, None, 38_951)),
    ("refund", PLAIN, (54_983, 53_523, 178_984, 68_622, None, 79_419)),
    ("dispute", PLAIN, (None, 326_540, 234_738, 38_452, None, None)),
    ("rule, three payees", PLAIN, (None, 93_811, 250_742, 77_848, 254_047, 81_584)),
)
NOTES: Final = (
    "Base takes two transactions to fund; it and Kleros have no shipping.",
    "Boson's listing costs another 573,005 and Origin's 76,800; Boson pays out by release and withdrawal (added up).",
    "Kleros's dispute is the settlement offer and both sides' fee deposits, with a mock arbitrator.",
    "Circle has no buyer's release: the money is withdrawn after its lock-up; its resolution pays one side.",
    "A certificate elsewhere: an EAS attestation costs 225,502, a bare soulbound ERC-721 mint 57,299 to 74,387.",
    "Theirs were measured with Circle's own token behind its proxy, ours with a test token that does the same\n"
    "  reads and writes (`contracts/test/fixtures/ProxyToken.sol`); Circle's, of an older compiler, takes about\n"
    "  2,300 gas more per payment in and 1,300 more per payout.",
)
_ROW = re.compile(r"\| ([a-zA-Z][^|]*?) \| ([\d,—]+) \| ([\d,—]+) \| ([\d,—]+) \|$")


def page(figures: Figures) -> str:
    """Return docs/gas.md."""
    head = (
        "# Gas\n\n<!-- Written by contracts/script/gas.py: run `make bench-gas`. A test fails when a step gets more\n"
        "than 2 % dearer than this page says. -->\n\nWhat each step costs, measured on py-evm: the transaction's\n"
        "21,000, its calldata and refunds included; balances and allowances warm from earlier orders; one order of a\n"
        "named buyer with an arbiter, quotes past their `validUntil` when the order closes.\n"
    )
    return "\n".join((head, _bars(figures), _ours(figures), _against(figures)))


def committed(text: str) -> Figures:
    """Return our figures as a page states them."""
    figures: Figures = {}
    for match in filter(None, map(_ROW.match, text.splitlines())):
        cells = zip(MONEYS, match.groups()[1:], strict=True)
        figures[match[1]] = {money: int(cell.replace(",", "")) for money, cell in cells if cell != "—"}
    return figures


def _bars(figures: Figures) -> str:
    rows = []
    for step, money, bar in BARS:
        used = figures[step][money]
        rows.append((step, money, _number(used), _number(bar), f"{(used - bar) / bar:+.1%}"))
    return "## Against the bars\n\n" + _table(("step", "money", "gas", "bar", ""), rows)


def _ours(figures: Figures) -> str:
    rows = [(step, *(_number(by.get(money)) for money in MONEYS)) for step, by in figures.items()]
    return "## Every step\n\n" + _table(("step", *MONEYS), rows)


def _against(figures: Figures) -> str:
    rows = [(step, money, f"**{figures[step][money]:,}**", *map(_number, theirs)) for step, money, theirs in OTHERS]
    notes = "".join(f"- {note}\n" for note in NOTES)
    return "## Beside others\n\n" + _table(("step", "money", "Halle", *ANCHORS), rows) + "\n" + notes


def _number(value: int | None) -> str:
    return "—" if value is None else f"{value:,}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
