"""The daemon that the other tests rely on: real, on loopback, alone."""

from __future__ import annotations

from interop.kubo_daemon import KuboDaemon


def test_daemon_is_alone_on_loopback(kubo: KuboDaemon) -> None:
    assert kubo.rpc("version")["Version"].startswith("0.")
    assert kubo.rpc("bootstrap/list")["Peers"] == []
    assert kubo.addrs
    assert all("/127.0.0.1/" in addr for addr in kubo.rpc("id")["Addresses"])


def test_daemon_keeps_a_file(kubo: KuboDaemon) -> None:
    cid = kubo.add(b"fixture")
    assert kubo.has(cid)
    assert kubo.cat(cid) == b"fixture"
    assert kubo.gateway.startswith("http://127.0.0.1:")
