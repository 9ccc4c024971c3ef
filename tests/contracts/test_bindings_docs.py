"""docs/contracts.md says what the contracts, their interfaces and the transition table say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import halle_contracts
from halle_protocol.order_table import TRANSITIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")


def test_generated_parts_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "docs" / "contract_tables.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_event_and_revert_is_named() -> None:
    for contract in (*halle_contracts.SHIPPED, "ArbiterERC792"):
        for item in halle_contracts.artifact(contract).abi:
            if item["type"] == "event":
                assert f"| {contract} | `{item['name']}` |" in PAGE
            elif item["type"] == "error":
                assert f"| `{item['name']}(" in PAGE


def test_diagram_has_an_edge_for_every_change_of_state() -> None:
    edges = {line.split(":")[0].strip() for line in PAGE.splitlines() if " --> " in line}
    for row in TRANSITIONS:
        if row.source != row.target:
            source = "[*]" if row.source == 0 else row.source.name.title()
            assert f"{source} --> {row.target.name.title()}" in edges


def test_every_way_to_close_is_drawn() -> None:
    for word in halle_contracts.CLOSED_HOW[1:]:
        assert any("--> Closed" in line and word.lower() in line for line in PAGE.splitlines())
