# ruff: noqa: S603 - runs the compiler and the tests of this repository
"""How a mutant is tried: compiled by a process that stays, tested in a fork that has everything loaded.

First the pip-only tests; who survives them meets forge. The working tree is never touched: forge works in a copy, and
the tests read the mutant's bytecode from a copy of the bindings.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mutant_operators import Mutant

CONTRACTS = Path(__file__).resolve().parents[1]
REPOSITORY = CONTRACTS.parent
TESTS = REPOSITORY / "tests" / "contracts"
# Which contracts a source is part of; every other source is part of the escrow alone.
PART_OF = {
    "Warranty.sol": ("Warranty",),
    "Bonds.sol": ("Warranty",),
    "DeliveryTracking.sol": ("DeliveryTracking",),
    "Till.sol": ("Escrow", "Warranty", "ArbiterERC792"),
    "Signed.sol": ("Escrow", "Warranty", "DeliveryTracking"),
    "ArbiterERC792.sol": ("ArbiterERC792",),
    "SignatureValidator.sol": ("SignatureValidator",),
}
# Quick and direct tests first, random sequences last: the first failure ends a trial.
SUITES = {
    "SignatureValidator": ("test_signature_validator",),
    "DeliveryTracking": ("test_tracking", "test_tracking_model"),
    "Warranty": ("test_warranty", "test_warranty_edges", "test_warranty_model"),
    "Escrow": (
        *("test_escrow_funding", "test_escrow_delivery", "test_escrow_ends", "test_escrow_attacks"),
        *("test_escrow_edges", "test_escrow_model", "test_differential"),
    ),
}
RANDOM = ("test_tracking_model", "test_warranty_model", "test_escrow_model", "test_differential")
# The laws' campaigns take minutes and are left out here; the same laws are in the Python models.
FORGE_FILES = {
    "Escrow": "{Escrow,Hostile,Griefing,Signed}",
    "Warranty": "{Warranty,Hostile,Griefing}",
    "DeliveryTracking": "{DeliveryTracking,Signed}",
    "ArbiterERC792": "{ArbiterERC792}",
}
TRIAL_SECONDS = 240
FORGE_SECONDS = 900


class Compiler:
    """One process of the npm compiler; `ask` returns at once, `answer` waits for the oldest question."""

    def __init__(self) -> None:
        command = ["node", str(CONTRACTS / "script" / "compile.mjs"), "--serve"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, file: str, content: str, want: tuple[str, ...], *, quick: bool = True) -> None:
        """Ask for contracts with one changed file: as they ship, or quickly, for tests that do not look at gas."""
        request = {"path": f"src/{file}", "content": content, "want": want, "quick": quick}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, str]:
        """Return the creation bytecode by name; empty when it does not compile."""
        assert self._process.stdout is not None
        found: dict[str, str] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def parts(file: str) -> tuple[str, ...]:
    """Return the contracts a source is part of."""
    return PART_OF.get(file, ("Escrow",))


class PipTests:
    """The pip-only tests: collected once, then run in a fork against whatever bytecode they are given.

    It is a pytest plugin: `serve` lets pytest collect, and does its work where pytest would run the tests.
    """

    def __init__(self, place: Path, *, quick: bool = False) -> None:
        left_out = RANDOM if quick else ()
        self._suites = {name: [s for s in suites if s not in left_out] for name, suites in SUITES.items()}
        self._told = place / "failed"
        self._artifacts = place / "bindings" / "halle_contracts" / "artifacts"
        shutil.copytree(CONTRACTS / "halle_contracts", self._artifacts.parent)
        sys.path[:0] = [str(place / "bindings"), str(REPOSITORY / "tests")]
        self._items: list[Any] = []
        self._work: Callable[[], None] | None = None
        self._broken: BaseException | None = None

    def serve(self, work: Callable[[], None]) -> None:
        """Do `work`, which may ask for `failure` as often as it likes."""
        import pytest
        from hypothesis import HealthCheck, Phase, settings

        # The same examples for every mutant, none remembered from another; what fails need not be made small.
        phases, quiet = (Phase.explicit, Phase.generate), list(HealthCheck)
        fixed = settings(database=None, derandomize=True, phases=phases, suppress_health_check=quiet)
        settings.register_profile("mutants", fixed)
        settings.load_profile("mutants")
        os.chdir(REPOSITORY)
        self._work = work
        names = dict.fromkeys(name for suite in self._suites.values() for name in suite)
        files = [str(TESTS / f"{name}.py") for name in names]
        rewritten = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        options = ["-x", "-s", "-p", "no:cacheprovider", "-q", "--no-header", *rewritten]
        code = pytest.main([*options, *files], plugins=[self])
        if self._broken is not None:
            raise self._broken
        if code != 0:
            raise RuntimeError("pytest could not collect the tests")

    def pytest_runtestloop(self, session: Any) -> bool:
        self._items = list(session.items)
        assert self._work is not None
        try:
            self._work()
        except BaseException as error:  # pytest would only print it
            self._broken = error
        return True

    def pytest_runtest_logreport(self, report: Any) -> None:
        """In the fork: the first failure is all that is wanted."""
        if report.failed:
            self._told.write_text(report.nodeid.rpartition("/")[2])
            os._exit(1)

    def failure(self, bytecode: dict[str, str]) -> str | None:
        """Return the first test that fails against these contracts, or None."""
        suites = [f"{name}.py" for contract in bytecode for name in self._suites.get(contract, ())]
        chosen = [item for name in suites for item in self._items if item.path.name == name]
        if not chosen:
            return None
        self._told.unlink(missing_ok=True)
        kept = {name: (self._artifacts / f"{name}.json").read_text() for name in bytecode if name in SUITES}
        try:
            for name, text in kept.items():
                changed = json.dumps(json.loads(text) | {"bytecode": bytecode[name]})
                (self._artifacts / f"{name}.json").write_text(changed)
            return self._fork(chosen)
        finally:
            for name, text in kept.items():
                (self._artifacts / f"{name}.json").write_text(text)

    def _fork(self, chosen: list[Any]) -> str | None:
        child = os.fork()
        if child == 0:
            try:
                self._run(chosen)
                os._exit(0)
            except BaseException:
                self._told.write_text(traceback.format_exc(limit=-3))
            finally:
                os._exit(2)
        status = _wait(child, TRIAL_SECONDS)
        if status is None:
            return "timeout"
        return None if status == 0 else self._told.read_text()

    def _run(self, chosen: list[Any]) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        importlib.import_module("halle_contracts.artifacts").artifact.cache_clear()
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _wait(child: int, seconds: float) -> int | None:
    """Return the child's exit status; None when it had to be killed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


class Forge:
    """The Solidity tests without the invariant campaigns, in a copy of the contracts."""

    def __init__(self, place: Path) -> None:
        self._contracts = place / "contracts"
        for folder in ("src", "test", "script"):
            shutil.copytree(CONTRACTS / folder, self._contracts / folder)
        shutil.copy(CONTRACTS / "foundry.toml", self._contracts)
        (self._contracts / "node_modules").symlink_to(CONTRACTS / "node_modules")

    def failure(self, mutant: Mutant) -> str | None:
        """Return the first test that fails, or None."""
        path = self._contracts / "src" / mutant.file
        kept = path.read_text()
        try:
            path.write_text(mutant.source())
            return next(filter(None, map(self._run, FORGE_FILES.keys() & {*parts(mutant.file)})), None)
        finally:
            path.write_text(kept)

    def _run(self, contract: str) -> str | None:
        command = [str(_forge()), "test", "--fuzz-seed", "0x1"]
        command += ["--match-path", f"test/{FORGE_FILES[contract]}*.t.sol"]
        command += ["--no-match-path", "test/*{invariant,symbolic}*"]
        run: dict[str, Any] = {"cwd": self._contracts, "capture_output": True, "text": True, "check": False}
        run["env"] = {**os.environ, "FOUNDRY_PROFILE": "mutants"}
        done = subprocess.run(command, timeout=FORGE_SECONDS, **run)
        if done.returncode == 0:
            return None
        found = re.findall(r"\[FAIL.*?\] (\w+)\(", done.stdout)
        if not found:
            raise RuntimeError(f"forge did not run:\n{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}")
        return f"forge {found[0]}"


def _forge() -> Path:
    """The npm wrapper hides a failing exit code: the native binary is called."""
    found = sorted((CONTRACTS / "node_modules" / "@foundry-rs").glob("forge-*/bin/forge*"))
    if not found:
        raise SystemExit("forge is not installed: run `npm ci --ignore-scripts` in contracts/")
    return found[0]
