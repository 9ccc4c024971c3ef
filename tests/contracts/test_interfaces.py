"""The interfaces are the manual: each call says what it does, what it emits and what it reverts with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import halle_contracts
from contracts.npm_tools import CONTRACTS

SRC = CONTRACTS / "src"
MANUALS = {
    "Escrow": ("interfaces/IEscrow.sol", "interfaces/ITill.sol"),
    "DeliveryTracking": ("interfaces/IDeliveryTracking.sol",),
    "Warranty": ("interfaces/IWarranty.sol", "interfaces/ITill.sol"),
    "ArbiterERC792": ("ArbiterERC792.sol", "interfaces/ITill.sol"),
}
DECLARATION = re.compile(r"((?:^ +///[^\n]*\n)+)^ +(function|event|error) (\w+)\(([^;{]*)[;{]", re.MULTILINE)


def documented(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Return (kind, name, words, rest of the declaration) of what has words above it."""
    for comment, kind, name, rest in DECLARATION.findall(path.read_text(encoding="utf-8")):
        yield kind, name, re.sub(r"\s*///\s*", " ", comment).strip(), rest


def declared(contract: str, kind: str) -> set[str]:
    return {item["name"] for item in halle_contracts.artifact(contract).abi if item["type"] == kind}


@pytest.mark.parametrize(("contract", "path"), [(name, path) for name, paths in MANUALS.items() for path in paths])
def test_every_call_names_its_events_and_reverts(contract: str, path: str) -> None:
    known = {kind: declared(contract, kind) for kind in ("event", "error")}
    for kind, name, words, rest in documented(SRC / path):
        if kind != "function" or re.search(r"\b(view|pure|private|internal)\b", rest):
            continue
        found = re.search(r"Emits (?P<event>.*?)\. (?:Reverts: (?P<error>.*)|Never reverts)\.", words)
        assert found is not None, f"{contract}.{name} does not say what it emits and reverts with"
        for part in ("event", "error"):
            named = set(re.findall(r"`([A-Z]\w+[a-z]\w*)`", found[part] or ""))
            assert named <= known[part], f"{contract}.{name}: no such {part}: {named - known[part]}"


@pytest.mark.parametrize("path", sorted({path for paths in MANUALS.values() for path in paths}))
def test_every_function_event_and_error_has_words(path: str) -> None:
    text = (SRC / path).read_text(encoding="utf-8")
    everything = set(re.findall(r"^ +(?:function|event|error) (\w+)\((?![^;{]*\b(?:private|internal)\b)", text, re.M))
    assert everything == {
        name for _, name, _, rest in documented(SRC / path) if not re.search(r"private|internal", rest)
    }


def test_every_function_of_ours_is_in_a_manual() -> None:
    for contract in MANUALS:
        text = (SRC / f"{contract}.sol").read_text(encoding="utf-8")
        calls = re.findall(r"(///[^\n]*)\n +function (\w+)\([^{]*\b(?:external|public)\b", text)
        assert calls
        for words, name in calls:
            assert "@inheritdoc" in words or "@notice" in words or "@dev" in words or contract == "ArbiterERC792", name
