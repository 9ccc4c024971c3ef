"""The documentation names what there is, and nothing that there is not."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import ROOT, build_docs
from cli.test_commands import EVERY
from halle_cli.main import EXIT_CODES
from halle_node.config import Config
from halle_storefront.api import local_routes, public_routes

GUIDES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = [
    path for folder in ("protocol", "node", "storefront", "cli") for path in sorted((ROOT / folder).rglob("*.py"))
]
# `halle word word` in backticks, in a code block's line, or after an arrow.
SPOKEN = re.compile(r"(?:`|→ |^)halle (?:--home \S+ )?([a-z][a-z-]*)(?: ([a-z]+))?", re.MULTILINE)


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_docs_are_written_from_the_code_as_it_is() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/build.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_docs_name_every_setting() -> None:
    for name, setting in Config.model_fields.items():
        assert f"| `{name}` | `HALLE_{name.upper()}` |" in page("settings.md")
        assert setting.description, name


def test_docs_name_every_route_of_the_api() -> None:
    text = page("api.md")
    for route in (*local_routes(), *public_routes()):
        if route.path.startswith("/api/"):
            assert f"| {route.method} | `{route.path}` |" in text, route.path


def test_docs_name_every_error_code() -> None:
    text = page("errors.md")
    for path in SOURCES:
        for code in build_docs().error_codes(path):
            assert f"| `{code}` |" in text, (code, path)


def test_error_codes_are_words_joined_by_hyphens() -> None:
    for path in SOURCES:
        for code in build_docs().error_codes(path):
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code), (code, path)


def test_docs_name_every_command_and_exit_code() -> None:
    text = page("cli.md")
    for path in EVERY:
        assert f"## {' '.join(('halle', *path))}\n" in text, path
    for kind, number in EXIT_CODES.items():
        assert f"| {number} | `{kind}` |" in text


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_guides_name_only_commands_that_exist(guide: Path) -> None:
    assert_commands_exist(guide.read_text(encoding="utf-8"), guide)


def test_hints_name_only_commands_that_exist() -> None:
    """What an error tells a person to type must work."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert_commands_exist(node.value, path)


def assert_commands_exist(text: str, where: Path) -> None:
    groups = {path[0] for path in EVERY if len(path) > 1}
    for name, child in SPOKEN.findall(text):
        assert (name,) in EVERY, (name, where)
        if name in groups and child:
            assert (name, child) in EVERY, (name, child, where)


def test_readme_s_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target


def test_readme_s_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name in re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE):
        assert name in targets, name
