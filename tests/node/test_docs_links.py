"""The pages of docs/ tell the truth where a machine can see it: links, tests, settings, commands, routes."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from halle_cli.main import build_group
from halle_node.config import Config, load
from halle_storefront.api.owner import PREFIX, ROUTES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
GENERATED = {"settings.md", "cli.md", "errors.md", "api.md", "benchmarks.md"}
"""Written by `make docs` and `make bench`; a clone has them, a working tree may not yet."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def code_blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (page.parent / path).resolve() if path else page
        if target.parent == ROOT / "docs" and target.name in GENERATED and not target.exists():
            continue
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_name_no_machine(page: Path) -> None:
    assert not re.search(r"/(work|tmp|root)/|/home/\w", text_of(page))


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "security").glob("*.md")), ids=name_of)
def test_named_tests_exist(page: Path) -> None:
    """Tests in Python and Solidity, campaigns, proofs, and the files that hold them."""
    name = r"(?:test(?:Fuzz)?_\w+|check_\w+|invariant_\w+)"
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "contracts" / "test").rglob("*.sol")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    defined = set(re.findall(rf"(?:def|function) ({name})\(", sources)) | {path.name for path in files}
    named = set(re.findall(rf"`(?:[\w/]+/)?({name}(?:\.py)?|conftest\.py)`", text_of(page)))
    assert named
    assert named <= defined, named - defined


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_in_pages_are_settings(page: Path, tmp_path: Path) -> None:
    for block in code_blocks(page, "toml"):
        (tmp_path / "halle.toml").write_text(block, encoding="utf-8")
        assert load(tmp_path, environ={}).model_dump().keys() >= tomllib.loads(block).keys()
    for name in re.findall(r"\bHALLE_([A-Z0-9_]+)\b", text_of(page)):
        assert name.lower() in {*Config.model_fields, "require"}, name


def commands(page: Path) -> Iterator[list[str]]:
    for block in code_blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["halle"]:
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_pages_are_understood(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Files that a page's commands read are stand-ins; nothing is run.
    monkeypatch.chdir(tmp_path)
    for name in ("carnet.jpg", "products.csv", "words.txt", "key.hex"):
        (tmp_path / name).touch()
    for words in commands(page):
        parse(build_group(), words)


def parse(command: click.Command, words: list[str]) -> None:
    context = command.make_context(command.name, list(words), resilient_parsing=False)
    if not isinstance(command, click.Group):
        return
    rest = [*context._protected_args, *context.args]
    if rest:
        found = command.get_command(context, rest[0])
        assert found is not None, words
        parse(found, rest[1:])


def test_routes_in_the_developers_guide_exist() -> None:
    patterns = [re.compile(re.sub(r"\{[^}]*\}", "[^/]+", PREFIX + path)) for _, path, _ in ROUTES]
    named = re.findall(r"\$URL(/[^\"?\s]*)", text_of(ROOT / "docs" / "guide-developer.md"))
    assert named
    for path in named:
        assert any(pattern.fullmatch(path) for pattern in patterns), path
