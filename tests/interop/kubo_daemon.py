"""A real Kubo daemon on loopback: its own repository, no bootstrap, no mDNS, no telemetry, nothing public.

`KuboDaemon(folder).start()`, or the fixtures `kubo` (one for the whole run) and `make_kubo` of conftest.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from interop.engines import go_program

START_S = 60
STOP_S = 20
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
SETTINGS: dict[str, Any] = {
    "Addresses.API": LOOPBACK,
    "Addresses.Gateway": LOOPBACK,
    "Addresses.Swarm": [LOOPBACK],
    "AutoConf.Enabled": False,
    "AutoNAT.ServiceMode": "disabled",
    "AutoTLS.Enabled": False,
    "Bootstrap": [],
    "Discovery.MDNS.Enabled": False,
    "HTTPRetrieval.Enabled": False,
    "Ipns.DelegatedPublishers": [],
    "Plugins.Plugins": {"telemetry": {"Disabled": True}},
    "Routing.DelegatedRouters": [],
    "Routing.Type": "none",
    "Swarm.DisableNatPortMap": True,
    "Swarm.EnableHolePunching": False,
    "Swarm.RelayClient.Enabled": False,
    "Swarm.RelayService.Enabled": False,
    "Swarm.Transports.Network.Relay": False,
    "Version.SwarmCheckEnabled": False,
}


class RpcFailed(Exception):
    """What the daemon answered instead of 200."""


class KuboDaemon:
    """One repository and at most one running daemon over it.

    `settings` are Kubo's own, by dotted name, and win over `SETTINGS`; `profile` says how `add` cuts files.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any] | None = None, *, profile: str = "unixfs-v1-2025"
    ) -> None:
        self.program = go_program("ipfs")
        self.repo = folder / "ipfs"
        self.log = folder / "kubo.log"
        self.environ = {
            "HOME": str(folder),
            "IPFS_PATH": str(self.repo),
            "IPFS_TELEMETRY": "off",
            "PATH": os.environ["PATH"],
        }
        folder.mkdir(parents=True, exist_ok=True)
        if not self.repo.exists():
            self.run("init", "--profile=test", "--empty-repo")
            self.run("config", "profile", "apply", profile)
            self.configure({**SETTINGS, **(settings or {})})
        self._process: subprocess.Popen[bytes] | None = None
        self.headers: dict[str, str] = {}
        self.api = self.gateway = self.peer_id = ""
        self.addrs: list[str] = []

    def run(self, *words: str, data: bytes = b"") -> str:
        """Return what the command `ipfs` prints."""
        done = subprocess.run(
            [self.program, *words], input=data, env=self.environ, capture_output=True, check=False, timeout=START_S
        )
        if done.returncode:
            raise RpcFailed(done.stderr.decode())
        return done.stdout.decode()

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Change the settings of a daemon that is not running."""
        path = self.repo / "config"
        config = json.loads(path.read_text())
        for dotted, value in settings.items():
            *folders, last = dotted.split(".")
            place = config
            for name in folders:
                if place.get(name) is None:
                    place[name] = {}
                place = place[name]
            place[last] = value
        path.write_text(json.dumps(config))

    def start(self, *words: str, disk_kb: int = 0) -> KuboDaemon:
        """Return when the daemon answers; `words` are options of `ipfs daemon`.

        With `disk_kb` its blocks are on a disk of that size, which takes root.
        """
        self.stop()
        for name in ("api", "gateway"):
            (self.repo / name).unlink(missing_ok=True)
        said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._on_disk(disk_kb), self.program, "daemon", "--migrate=false", *words],
                env=self.environ,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while b"Daemon is ready" not in self.log.read_bytes()[said:]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RpcFailed(f"Kubo did not start:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.05)
        self.api_multiaddr = (self.repo / "api").read_text().strip()
        if self.api_multiaddr.startswith("/ip4/"):
            self.api = _url(self.api_multiaddr)
            self._ask_who()
        self.gateway = (self.repo / "gateway").read_text().strip()
        return self

    def _on_disk(self, size_kb: int) -> list[str]:
        """Return the words that run what follows with a disk of its own under the blocks."""
        if not size_kb:
            return []
        blocks = self.repo / "blocks"
        make = f"cp -a {blocks} {blocks}.kept && mount -t tmpfs -o size={size_kb}k none {blocks}"
        return ["unshare", "--mount", "sh", "-ec", f'{make} && cp -a {blocks}.kept/. {blocks} && exec "$@"', "sh"]

    def _ask_who(self) -> None:
        who = self.rpc("id")
        self.peer_id = who["ID"]
        self.addrs = [addr for addr in who["Addresses"] if "/tcp/" in addr and "127.0.0.1" in addr]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def pause(self) -> None:
        """Freeze the daemon: its sockets stay open and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End the daemon; the repository stays and `start` opens it again."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    # the RPC, by the standard library: the tests do not ask a daemon through the code that they test

    def rpc_bytes(
        self, path: str, *args: str, data: bytes | None = None, timeout: float = 30, **options: object
    ) -> bytes:
        """Return the body of one call of /api/v0. Raises: RpcFailed."""
        query = [("arg", arg) for arg in args]
        query += [(name.replace("_", "-"), _text(value)) for name, value in options.items()]
        url = f"{self.api}/api/v0/{path}?{urllib.parse.urlencode(query)}"
        body, headers = _multipart(data) if data is not None else (b"", {})
        request = urllib.request.Request(url, data=body, headers=headers | self.headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as exc:
            with exc:
                raise RpcFailed(exc.read().decode(errors="replace")) from None

    def rpc(self, path: str, *args: str, data: bytes | None = None, timeout: float = 30, **options: object) -> Any:
        """Return the last JSON value of one call."""
        lines = self.rpc_lines(path, *args, data=data, timeout=timeout, **options)
        return lines[-1] if lines else None

    def rpc_lines(self, path: str, *args: str, **options: Any) -> list[Any]:
        """Return every JSON value of one call."""
        return [json.loads(line) for line in self.rpc_bytes(path, *args, **options).splitlines()]

    def connect(self, multiaddr: str) -> None:
        """Dial a peer and stay connected."""
        self.rpc("swarm/connect", multiaddr)

    def add(self, data: bytes) -> str:
        """Store a file and return its CID."""
        return str(self.rpc("add", data=data, pin=False)["Hash"])

    def cat(self, path: str, timeout: float = 30) -> bytes:
        """Return a file, fetched from peers where need be."""
        return self.rpc_bytes("cat", path, timeout=timeout)

    def pins(self, kind: str = "recursive") -> dict[str, str]:
        """Return the names of the pins by CID."""
        keys = self.rpc("pin/ls", type=kind, names=True).get("Keys") or {}
        return {cid: pin.get("Name", "") for cid, pin in keys.items()}

    def has(self, cid: str) -> bool:
        """Say whether a block is in the repository, without asking any peer."""
        try:
            self.rpc("block/stat", cid, offline=True)
        except RpcFailed:
            return False
        return True


def _url(multiaddr: str) -> str:
    _, _, host, _, port = multiaddr.split("/")[:5]
    return f"http://{host}:{port}"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _multipart(data: bytes) -> tuple[bytes, dict[str, str]]:
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n'
    head += "Content-Type: application/octet-stream\r\n\r\n"
    body = head.encode() + data + f"\r\n--{mark}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={mark}"}
