"""The processes of the story: a chain and three nodes, each started as a person would start it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from halle_cli.session import Client
from halle_node.run_file import RunFile, read_run_file
from halle_protocol.errors import Unavailable

READY_S = 60.0
STOP_S = 15.0
LOOK_AGAIN_S = 0.05

Seen = TypeVar("Seen")


def until(what: str, look: Callable[[], Seen | None], *, seconds: float | None = None) -> Seen:
    """Look until there is something to see, and return it.

    Raises: Unavailable "demo-too-slow".
    """
    limit_s = READY_S if seconds is None else seconds
    deadline = time.monotonic() + limit_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise Unavailable(
                f"Waited {limit_s:.0f} s for this: {what}.",
                code="demo-too-slow",
                hint="The logs are in the demo's folder (--keep DIR keeps it).",
            )
        # The thing happens in another process; there is no event to wait for.
        time.sleep(LOOK_AGAIN_S)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    """The caller's environment without Halle settings: the story must not depend on who tells it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HALLE_")}
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


def start(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start one of our own modules in a process of its own; what it says goes to `log`."""
    with log.open("ab") as sink:
        return subprocess.Popen(  # noqa: S603  our own interpreter and modules
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            env=_environment(),
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and make it end if it does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass
class ChainProcess:
    """The embedded chain, shared by all nodes."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def rpc_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = ["halle_node.chain.embedded", "--port", str(self.port), "--data", str(self.folder)]
        self.process = start(arguments, self.folder / "chain.log")
        until("the chain answers", self._answers)

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise Unavailable(
                f"The chain ended at once (exit code {self.process.returncode}).",
                code="chain-ended",
                hint=f"Its log: {self.folder / 'chain.log'}",
            )
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            stop(self.process)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class NodeProcess:
    """One person's node: a home and a process of its own. `rpc_url` may name several, with spaces between."""

    name: str
    home: Path
    rpc_url: str
    settings: dict[str, str] = field(default_factory=dict)
    # A node keeps its port, so that others find it again after a restart.
    p2p_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def init(self) -> dict[str, str]:
        """Run `halle init` and return what it says."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        options = [part for name, value in self.settings.items() for part in (f"--{name}", value)]
        command = [
            "-m",
            "halle_cli",
            "--home",
            str(self.home),
            "init",
            "--name",
            self.name,
            "--no-password",
            "--json",
        ]
        done = subprocess.run(  # noqa: S603  our own interpreter and module
            [sys.executable, *command, *options],
            capture_output=True,
            text=True,
            env=_environment(),
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"halle init failed: {done.stderr.strip()}", code="demo-init-failed")
        made: dict[str, str] = json.loads(done.stdout)
        return made

    def start(self, *peers: str) -> None:
        """Run `halle up` and return when it serves."""
        command = ["halle_cli", "-v", "--home", str(self.home), "up", "--no-open"]
        command += [part for url in self.rpc_url.split() for part in ("--rpc", url)]
        command += ["--local-port", "0", "--shop-port", "0", "--p2p-port", str(self.p2p_port)]
        for peer in peers:
            command += ["--peer", peer]
        self.process = start(command, self.log)
        until(f"{self.name}'s node serves", self._serves)

    @property
    def log(self) -> Path:
        """What the process said."""
        return self.home.with_suffix(".log")

    def _serves(self) -> RunFile | None:
        if self.process is not None and self.process.poll() is not None:
            tail = self.log.read_text(errors="replace").strip().splitlines()[-3:]
            raise Unavailable(
                f"{self.name}'s node ended at once: {' '.join(tail)}",
                code="node-ended",
                hint=f"Its log: {self.log}",
            )
        found = read_run_file(self.home)
        return found if found and self.process and found.pid == self.process.pid else None

    @property
    def found(self) -> RunFile:
        """Where the running node listens."""
        found = read_run_file(self.home)
        if found is None:
            raise Unavailable(f"{self.name}'s node does not run.", code="node-not-running", hint=f"Its log: {self.log}")
        return found

    @property
    def api(self) -> Client:
        """The node's local API."""
        return Client(self.found.local_url, self.found.token)

    def stop(self) -> None:
        """Close the node as Ctrl-C does."""
        if self.process is not None:
            stop(self.process)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
