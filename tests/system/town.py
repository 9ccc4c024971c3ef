"""Three network namespaces: a shop and a buyer, each behind a link of its own to a relay, and no way past it."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from pathlib import Path
from typing import Any

from halle_cli.demo.actors import ChainProcess, NodeProcess
from namespaces import Namespaces, run_ip

RELAY, SHOP, BUYER = "relay", "shop", "buyer"
LINKS = {SHOP: "10.77.1", BUYER: "10.77.2"}
RELAY_IP = "10.77.0.1"
"""Where everybody reaches the relay, as a server on the internet has one address for all."""


class Town(Namespaces):
    """The namespaces, by the names RELAY, SHOP and BUYER."""

    def __init__(self) -> None:
        super().__init__(RELAY, SHOP, BUYER)
        self._bridges: list[socketserver.ThreadingTCPServer] = []

    def build(self) -> Town:
        """Make the namespaces, or skip the test."""
        self.make()
        run_ip("-n", self.full(RELAY), "addr", "add", f"{RELAY_IP}/32", "dev", "lo")
        for name, net in LINKS.items():
            self.link(RELAY, f"{net}.1/24", name, f"{net}.2/24")
            self.route(name, RELAY_IP, f"{net}.1")
        return self

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

    def raze(self) -> None:
        """Remove the namespaces and with them their links."""
        for bridge in self._bridges:
            bridge.shutdown()
            bridge.server_close()
        super().raze()


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
