"""Slither finds nothing, with every detector on; what it is told to overlook has its reason at the place."""

from __future__ import annotations

import json
import re

import pytest

from contracts.npm_tools import CONTRACTS, analyser, run_on_contracts

SOURCES = sorted((CONTRACTS / "src").glob("*.sol"))


@pytest.mark.timeout(600)
def test_slither_finds_nothing() -> None:
    done = run_on_contracts([str(analyser("slither")), ".", "--fail-pedantic"], "slither")
    assert done.returncode == 0, done.stderr[-4_000:]
    said = re.search(r"\((\d+) contracts with (\d+) detectors\), 0 result\(s\) found", done.stderr)
    assert said is not None, done.stderr[-4_000:]
    assert int(said[1]) > len(SOURCES)
    assert int(said[2]) >= 100


def test_no_detector_is_left_out_everywhere() -> None:
    settings = json.loads((CONTRACTS / "slither.config.json").read_text(encoding="utf-8"))
    assert settings == {"filter_paths": "node_modules|src/test|^test/"}


def test_every_suppression_says_why() -> None:
    for path in SOURCES:
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if "slither-disable-next-line" in line or "slither-disable-start" in line:
                reason = " - " in line or lines[number - 1].lstrip().startswith("//")
                assert reason, f"{path.name}:{number + 1} gives no reason"
