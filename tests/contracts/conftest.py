"""One market per test; whatever a test does, the escrow must still owe exactly what it holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.evm_market import Market


@pytest.fixture
def market() -> Iterator[Market]:
    market = Market()
    yield market
    market.check_solvent()
