"""`halle` as a person runs it: a process of its own, a home of its own, nothing of the tester's environment."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import halle_cli.main

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 60
TOLD_CODE = re.compile(r"^✗ .*\(([a-z0-9-]+)\)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return stdout as one JSON document."""
        return json.loads(self.out)

    @property
    def code(self) -> str:
        """Return the error code told on stderr, "" when there is none."""
        found = TOLD_CODE.search(self.err)
        return found.group(1) if found else ""


Halle = Callable[..., Answer]


def environment(**settings: str) -> dict[str, str]:
    """The tester's environment without Halle's settings; a password hash that costs nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HALLE_")}
    return {**kept, "HALLE_SCRYPT_N": "2", "TERM": "dumb", **settings}


def run_process(*arguments: str | Path, env: dict[str, str] | None = None, stdin: str = "") -> Answer:
    """Run `halle` in a process of its own, as a shell does, and return what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "halle_cli", *map(str, arguments)],
        input=stdin.encode(),
        capture_output=True,
        timeout=LIMIT_S,
        env=environment(**(env or {})),
        check=False,
    )
    return _polite(Answer(done.returncode, done.stdout.decode(), done.stderr.decode()))


def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Answer:
    """Run `halle` in this process: the same from the command line to the exit code, without a second of imports."""
    out, err = TextIOWrapper(BytesIO(), "utf-8"), TextIOWrapper(BytesIO(), "utf-8")
    with (
        mock.patch.dict(os.environ, environment(**(env or {})), clear=True),
        mock.patch.object(sys, "argv", ["halle", *map(str, arguments)]),
        mock.patch.object(sys, "stdin", StringIO()),
        _as_found(),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        halle_cli.main.run()
    code = ended.value.code
    return _polite(Answer(code if isinstance(code, int) else 0, _text(out), _text(err)))


@contextmanager
def _as_found() -> Iterator[None]:
    """Put back what a command changes in its process and the end of a process would undo."""
    interrupt, unraisable, root = signal.getsignal(signal.SIGINT), sys.unraisablehook, logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = unraisable
        root.handlers[:], root.level = handlers, level


def _text(stream: TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.detach()
    assert isinstance(buffer, BytesIO)
    return buffer.getvalue().decode()


def _polite(answer: Answer) -> Answer:
    """Hold every command to it: no mistake of a person shows a traceback, every code it tells is documented."""
    assert "Traceback" not in answer.err, answer.err
    assert " ERROR " not in answer.err, answer.err
    if answer.code:
        assert answer.code in documented_codes(), answer.code
    return answer


@cache
def documented_codes() -> frozenset[str]:
    """Return every code of the page on errors, as the code base says it now."""
    page = build_docs().errors_page()
    return frozenset(re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE))


@cache
def build_docs() -> Any:
    """Return docs/build.py as a module."""
    spec = spec_from_file_location("build_docs", ROOT / "docs/build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with fresh keys; copy it, do not change it."""
    home = tmp_path_factory.mktemp("made") / "home"
    assert run("--home", home, "init", "--name", "Atelier", "--no-password").status == 0
    return home


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Path:
    """A home of the test's own."""
    copied = tmp_path / "home"
    shutil.copytree(made_home, copied)
    return copied


@pytest.fixture
def halle(home: Path) -> Halle:
    """Run `halle --home HOME …` on a home of the test's own."""

    def on_home(*arguments: str | Path, env: dict[str, str] | None = None) -> Answer:
        return run("--home", home, *arguments, env=env)

    return on_home


@pytest.fixture
def bare() -> Halle:
    """Run `halle …` as given."""
    return run


@pytest.fixture
def shell() -> Halle:
    """Run `halle …` as given, in a process of its own."""
    return run_process


@pytest.fixture
def market_csv(tmp_path: Path) -> Path:
    """The demo's import file with its pictures drawn beside it."""
    from halle_cli.demo.drawing import draw

    folder = tmp_path / "csv"
    (folder / "images").mkdir(parents=True)
    source = ROOT / "cli/halle_cli/demo/data/atelier-camille.csv"
    path = folder / source.name
    shutil.copy(source, path)
    for name in set(re.findall(r"images/([a-z-]+\.png)", source.read_text(encoding="utf-8"))):
        draw(folder / "images" / name, "shirt", "#3b6ea5", "#f3ece1")
    return path


@pytest.fixture
def read_only(tmp_path: Path) -> Path:
    """A folder nobody may write into, root included: it lies under a file."""
    blocked = tmp_path / "a-file"
    blocked.write_text("not a folder")
    return blocked / "home"
