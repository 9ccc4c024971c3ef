"""A whole node with a daemon beside it: what it publishes is kept there, and a dead daemon holds up nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from halle_cli.demo.actors import ChainProcess, NodeProcess, until
from halle_cli.demo.drawing import draw
from interop.conftest import MakeKubo
from interop.kubo_daemon import KuboDaemon
from system.calm import assert_calm
from system.hall import SHIRT

pytestmark = pytest.mark.system


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    chain = ChainProcess(tmp_path / "chain")
    merchant = NodeProcess("Atelier Camille", tmp_path / "home", chain.rpc_url)
    chain.start()
    merchant.init()
    yield merchant
    merchant.stop()
    chain.stop()
    assert_calm(merchant.log)


def _kubo(node: NodeProcess) -> dict[str, Any]:
    found: dict[str, Any] = node.api.get("/network")["kubo"]
    return found


def _check(node: NodeProcess) -> dict[str, Any]:
    return next(check for check in node.api.get("/doctor")["checks"] if check["name"] == "kubo")


def _root(node: NodeProcess) -> str:
    return str(node.api.get("/node")["head"]["catalog_root"])


def test_node_keeps_a_daemon_in_step_and_outlives_it(node: NodeProcess, make_kubo: MakeKubo, tmp_path: Path) -> None:
    daemon: KuboDaemon = make_kubo().start()
    with (node.home / "halle.toml").open("a") as settings:
        settings.write(f'kubo_api = "{daemon.api}"\nkubo_timeout_s = 5\n')
    node.start()
    node.api.post("/products", SHIRT)
    draw(tmp_path / "shirt.png", "shirt", "#3b6ea5", "#f3ece1")
    picture = (tmp_path / "shirt.png").read_bytes()
    node.api.upload("/products/chemise-bleue/photos", picture, "image/png", filename="shirt.png", alt="Chemise")
    node.api.post("/publish")
    until("the daemon keeps the shop", lambda: daemon.pins().get(_root(node), "").endswith(":catalog"))
    until("the node says so", lambda: _kubo(node)["state"] == "ok")
    assert any(name.endswith(":site") for name in daemon.pins().values())
    assert _check(node)["state"] == "warning"  # alone on loopback, it has nobody to announce the shop to
    # The profile tells others where the shop is kept.
    until("the profile names the daemon", lambda: _names(daemon, node))
    daemon.stop()
    node.api.post("/products", {**SHIRT, "handle": "chemise-rouge", "title": "Chemise rouge", "sku": "CHR"})
    node.api.post("/publish")
    until("the daemon is missed", lambda: (_kubo(node)["trouble"] or {}).get("code") == "kubo-down")
    assert "kubo-down" in _check(node)["message"]


def _names(daemon: KuboDaemon, node: NodeProcess) -> bool:
    """Look for the daemon's own id in the documents that it keeps."""
    documents = daemon.rpc_lines("refs", _root(node), unique=True)
    return any(daemon.peer_id.encode() in daemon.rpc_bytes("block/get", line["Ref"]) for line in documents)
