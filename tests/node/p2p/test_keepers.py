"""Which addresses of a daemon a store tells, and which of a store's addresses lead to one."""

from __future__ import annotations

from halle_node.p2p.keepers import keepers, tellable

STORE = "12D3KooWGCyS8gmm9gYyy4D6ZHe6oVnV9w6GFdR2rfAKtv3aE3Cw"
DAEMON = "12D3KooWJPJaa52k1jn5Knfo3GwHmNenxAiQ8QN5L1dgAHT1W7Xf"


def at(host: str, peer: str = DAEMON, kind: str = "ip4", transport: str = "tcp/4001") -> str:
    return f"/{kind}/{host}/{transport}/p2p/{peer}"


def test_only_addresses_of_other_peers_are_keepers() -> None:
    addrs = [at("127.0.0.1", STORE), "/ip4/127.0.0.1/tcp/4480", at("127.0.0.1"), "nonsense"]
    assert keepers(STORE, addrs) == [(DAEMON, at("127.0.0.1"))]
    assert len(keepers(STORE, [at("127.0.0.1", kind="ip4", transport=f"tcp/{n}") for n in range(1, 20)])) == 3


def test_public_addresses_are_told_and_private_ones_are_not() -> None:
    listened = [
        at("127.0.0.1"),
        at("192.168.1.4"),
        at("93.184.216.34"),
        at("93.184.216.34", transport="udp/4001/quic-v1"),
    ]
    assert tellable(listened, [at("127.0.0.1", STORE)]) == [at("93.184.216.34")]
    assert tellable(listened[:2], [at("shop.example.org", STORE, "dns4")]) == []
    assert tellable(listened[:2], [at("192.168.1.4", STORE)]) == [at("192.168.1.4")]
    assert tellable([at("kubo.example.org", kind="dns4"), at("kubo", kind="dns4")], []) == [
        at("kubo.example.org", kind="dns4")
    ]
