"""docs/spec/05 to 10 say what the code does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "docs" / "spec"
MODULES = "keys signing grant sealing head pricing terms messages review documents/signed documents/shape"


def _writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("people_tables", SPEC / "people_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_of_the_spec_are_those_of_the_code() -> None:
    writer = _writer()
    for page in writer.PAGES:
        text = (SPEC / f"{page}.md").read_text(encoding="utf-8")
        assert writer.filled(text) == text, f"{page}: run python docs/spec/people_tables.py"


def test_every_error_code_is_in_the_spec() -> None:
    pages = "".join((SPEC / f"{page}.md").read_text(encoding="utf-8") for page in _writer().PAGES)
    ours = {"bad-seed", "suite-unknown", "plaintext-too-large"}
    for name in MODULES.split():
        source = (ROOT / "protocol" / "halle_protocol" / f"{name}.py").read_text(encoding="utf-8")
        for code in re.findall(r'code="([a-z-]+)"', source):
            assert f"`{code}`" in pages or code in ours, f"{name}: {code}"
