"""docs/security/contracts.md names tests, campaigns and proofs that exist."""

from __future__ import annotations

import re
from pathlib import Path

from contracts.npm_tools import CONTRACTS, ROOT

PAGE = (ROOT / "docs" / "security" / "contracts.md").read_text(encoding="utf-8")
NAME = r"(?:test(?:Fuzz)?_\w+|check_\w+|invariant_\w+)"


def defined() -> set[str]:
    """Return the names of all tests, campaigns and proofs of the contracts, and of the files that hold them."""
    files = [*Path(__file__).parent.glob("*.py"), *(CONTRACTS / "test").glob("*.sol")]
    texts = [path.read_text(encoding="utf-8") for path in files]
    return {name for text in texts for name in re.findall(rf"(?:def|function) ({NAME})\(", text)} | {
        f.name for f in files
    }


def test_security_page_names_only_what_is_there() -> None:
    named = set(re.findall(rf"`({NAME}(?:\.py)?|conftest\.py)`", PAGE))
    assert len(named) > 40
    assert named <= defined(), named - defined()
