"""No step gets more than 2 % dearer than docs/gas.md says."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

import pytest

from contracts.npm_tools import CONTRACTS

ALLOWED = 0.02


def script(name: str) -> ModuleType:
    """Load a module of contracts/script, which is no package."""
    spec = spec_from_file_location(name, CONTRACTS / "script" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def table() -> ModuleType:
    return script("gas_table")


@pytest.fixture(scope="module")
def gas(table: ModuleType) -> ModuleType:
    return script("gas")


def test_no_step_is_dearer_than_the_committed_table(table: ModuleType, gas: ModuleType) -> None:
    kept = table.committed(gas.GAS_PAGE.read_text(encoding="utf-8"))
    fresh = gas.measure()
    assert {step: set(by) for step, by in fresh.items()} == {step: set(by) for step, by in kept.items()}
    dearer = {
        f"{step}, {money}": f"{kept[step][money]:,} → {used:,}"
        for step, by in fresh.items()
        for money, used in by.items()
        if used > kept[step][money] * (1 + ALLOWED)
    }
    assert not dearer, f"If it is worth it, run `make bench-gas`: {dearer}"


def test_page_and_figures_say_the_same(table: ModuleType) -> None:
    figures = {step: dict.fromkeys(table.MONEYS, 1_000 + n) for n, (step, _, _) in enumerate(table.BARS + table.OTHERS)}
    figures["fund"].pop(table.NATIVE)
    assert table.committed(table.page(figures)) == figures
