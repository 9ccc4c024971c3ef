"""Tools that pip cannot bring: a missing one skips its test by name, or fails it when HALLE_REQUIRE=all."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(tool: str, how: str) -> NoReturn:
    """Skip the test for want of `tool`, saying how to get it; fail it when every tool is required."""
    message = f"{tool} is missing: {how}."
    if os.environ.get("HALLE_REQUIRE") == "all":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def require_chromium() -> str:
    """Return the path of Chromium, or skip."""
    return shutil.which("chromium") or missing("chromium", "on Debian, apt-get install chromium")
