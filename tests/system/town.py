"""Three network namespaces: a shop and a buyer, each behind a link of its own to a relay, and no way past it.

Needs root and iproute2. Sockets and processes belong to the namespace of the thread that makes them, so the test
talks to a node by making its socket there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from halle_cli.demo.actors import ChainProcess, NodeProcess
from requirements import missing

_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
RELAY, SHOP, BUYER = "relay", "shop", "buyer"
LINKS = {SHOP: "10.77.1", BUYER: "10.77.2"}
RELAY_IP = "10.77.0.1"
"""Where everybody reaches the relay, as a server on the internet has one address for all."""


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def _entered(path: str) -> Iterator[None]:
    """Move this thread into a namespace for a while."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        _set_namespace(there)
        try:
            yield
        finally:
            _set_namespace(home)
    finally:
        os.close(there)
        os.close(home)


def _set_namespace(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Town:
    """The namespaces, by the names RELAY, SHOP and BUYER."""

    def __init__(self) -> None:
        self._prefix = f"halle{os.getpid()}"
        self._bridges: list[socketserver.ThreadingTCPServer] = []

    def build(self) -> Town:
        """Make the namespaces, or skip the test."""
        if shutil.which("ip") is None:
            missing("iproute2", "on Debian, apt-get install iproute2")
        try:
            for name in (RELAY, SHOP, BUYER):
                _ip("netns", "add", self._full(name))
                _ip("-n", self._full(name), "link", "set", "lo", "up")
        except subprocess.CalledProcessError:
            self.raze()
            missing("network namespaces", "run the tests as root")
        _ip("-n", self._full(RELAY), "addr", "add", f"{RELAY_IP}/32", "dev", "lo")
        for name, net in LINKS.items():
            self._link(name, net)
        return self

    def _full(self, name: str) -> str:
        return f"{self._prefix}-{name}"

    def _link(self, name: str, net: str) -> None:
        inner, outer = self._full(name), self._full(RELAY)
        _ip("-n", outer, "link", "add", name, "type", "veth", "peer", "name", "wan", "netns", inner)
        _ip("-n", outer, "addr", "add", f"{net}.1/24", "dev", name)
        _ip("-n", inner, "addr", "add", f"{net}.2/24", "dev", "wan")
        _ip("-n", outer, "link", "set", name, "up")
        _ip("-n", inner, "link", "set", "wan", "up")
        _ip("-n", inner, "route", "add", RELAY_IP, "via", f"{net}.1")

    def inside(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Have this thread make its sockets and processes in a namespace."""
        return _entered(f"/run/netns/{self._full(name)}")

    def lend_loopback(self, port: int, *, of: str, to: str) -> None:
        """Have a port of one namespace's loopback answer on another's, for what is not the network under test."""
        town = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with town.inside(of):
                    far = socket.create_connection(("127.0.0.1", port))
                with far:
                    back = threading.Thread(target=_copy, args=(far, self.request))
                    back.start()
                    _copy(self.request, far)
                    back.join()

        with self.inside(to):
            server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._bridges.append(server)

    def can_reach(self, name: str, host: str, port: int) -> bool:
        """Tell whether a TCP connection from a namespace succeeds."""
        with self.inside(name), socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((host, port)) == 0

    def raze(self) -> None:
        """Remove the namespaces and with them their links."""
        for bridge in self._bridges:
            bridge.shutdown()
            bridge.server_close()
        for name in (RELAY, SHOP, BUYER):
            subprocess.run(["ip", "netns", "del", self._full(name)], check=False, capture_output=True)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class PlacedChain(ChainProcess):
    """The embedded chain in a namespace."""

    town: Town
    place: str

    def start(self) -> None:
        """Start it there."""
        with self.town.inside(self.place):
            super().start()


class PlacedNode(NodeProcess):
    """A node in a namespace, with its settings in halle.toml."""

    town: Town
    place: str

    def start(self, *peers: str) -> None:
        """Run `halle up` there."""
        with self.town.inside(self.place):
            super().start(*peers)

    @property
    def api(self) -> Any:
        """The node's local API, called from there."""
        return _CalledInside(self.town, self.place, super().api)


class _CalledInside:
    def __init__(self, town: Town, place: str, client: Any) -> None:
        self._town, self._place, self._client = town, place, client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with self._town.inside(self._place):
                return method(*args, **kwargs)

        return call


def place_node(town: Town, place: str, name: str, folder: Path, rpc_url: str) -> PlacedNode:
    """Make the home of a node that lives in a namespace."""
    node = PlacedNode(name, folder / place, rpc_url, {"country": "FR", "currency": "EUR"})
    node.town, node.place = town, place
    return node


def set_up(node: NodeProcess, **settings: object) -> None:
    """Write settings into a node's halle.toml."""
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items()]
    path = node.home / "halle.toml"
    before = path.read_text("utf-8") if path.exists() else ""
    path.write_text(before + "\n".join(lines) + "\n", "utf-8")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(f'"{part}"' for part in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
