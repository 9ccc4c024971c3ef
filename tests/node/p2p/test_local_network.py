"""A home network in namespaces: peers find each other by mDNS, and a router passes a port on by UPnP."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from interop.engines import JS, node_js
from namespaces import Namespaces
from node.p2p.conftest import SCRIPT, Peer
from requirements import missing

HOME, ROUTER, OUTSIDE = "home", "router", "outside"
OUTSIDE_IP = "8.8.4.4"
"""A public address, in a namespace of our own: routers with a private one refuse to pass ports on."""

RULES = """
table inet filter {
 chain forward {
  type filter hook forward priority 0; policy accept;
  jump miniupnpd
 }
 chain miniupnpd {
 }
 chain prerouting {
  type nat hook prerouting priority -100; policy accept;
  jump prerouting_miniupnpd
 }
 chain postrouting {
  type nat hook postrouting priority 100; policy accept;
  jump postrouting_miniupnpd
 }
 chain prerouting_miniupnpd {
 }
 chain postrouting_miniupnpd {
 }
}
"""
ROUTER_SETTINGS = """
ext_ifname={outside}
listening_ip={inside}
enable_upnp=yes
enable_natpmp=no
secure_mode=yes
uuid=00000000-0000-0000-0000-000000000001
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


class PlacedPeer(Peer):
    """A peer process in a namespace."""

    def __init__(self, networks: Namespaces, place: str, folder: Path, *command: str) -> None:
        super().__init__(folder, "", {})
        self._command = [*networks.command(place), *command]

    async def start(self) -> PlacedPeer:
        """Start the process there."""
        self.directory.mkdir()
        with (self.directory / "stderr").open("ab") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=stderr
            )
        self._reader = asyncio.create_task(self._read())
        await self.ready()
        return self


class Household:
    """Peers in namespaces."""

    def __init__(self, networks: Namespaces, folder: Path) -> None:
        self.networks = networks
        self._folder = folder
        self.all: list[Peer] = []

    async def start(self, name: str, place: str, **config: object) -> Peer:
        """Start one of our peers."""
        folder, seed = self._folder / name, name.encode().hex().ljust(64, "0")
        settings = json.dumps({"listen_host": "0.0.0.0", "reconnect_min_s": 0.2, **config})
        return await self.start_other(name, place, sys.executable, str(SCRIPT), str(folder), seed, settings)

    async def start_other(self, name: str, place: str, *command: str) -> Peer:
        """Start any peer that is driven alike."""
        peer = await PlacedPeer(self.networks, place, self._folder / name, *command).start()
        self.all.append(peer)
        return peer


@pytest.fixture
def networks() -> Iterator[Namespaces]:
    made = Namespaces(HOME, ROUTER, OUTSIDE)
    made.make()
    try:
        made.link(ROUTER, "192.168.77.1/24", HOME, "192.168.77.2/24")
        made.link(ROUTER, f"{OUTSIDE_IP}/24", OUTSIDE, "8.8.4.8/24")
        made.route(HOME, "default", "192.168.77.1")
        yield made
    finally:
        made.raze()


@pytest.fixture
async def household(networks: Namespaces, tmp_path: Path) -> AsyncIterator[Household]:
    made = Household(networks, tmp_path)
    yield made
    await asyncio.gather(*(peer.close() for peer in made.all))
    assert [line for peer in made.all for line in peer.error_logs()] == []


async def test_peers_find_each_other_in_the_local_network(household: Household) -> None:
    first = await household.start("first", HOME, mdns=True)
    second = await household.start("second", ROUTER, mdns=True)
    await second.connected_to(first)
    deaf = await household.start("deaf", ROUTER)
    assert await deaf.call("peers") == []


async def test_js_peer_is_found_in_the_local_network_and_finds_us(household: Household) -> None:
    ours = await household.start("ours", ROUTER, mdns=True)
    options = json.dumps({"listen": "/ip4/192.168.77.2/tcp/0", "mdns": True})
    theirs = await household.start_other("theirs", HOME, str(node_js()), str(JS / "peer.mjs"), options)
    await theirs.event("discovered", peer=ours.peer_id)
    await ours.connected_to(theirs)


@pytest.fixture
async def router(networks: Namespaces, tmp_path: Path) -> AsyncIterator[None]:
    """A router with NAT and the UPnP daemon that home routers have."""
    for tool in ("nft", "miniupnpd"):
        if shutil.which(tool) is None:
            missing(tool, f"on Debian, apt-get install {'nftables' if tool == 'nft' else tool}")
    (tmp_path / "rules").write_text(RULES)
    (tmp_path / "conf").write_text(ROUTER_SETTINGS.format(inside="eth1a", outside="eth2a"))
    rules = await asyncio.create_subprocess_exec(*networks.command(ROUTER), "nft", "-f", str(tmp_path / "rules"))
    if await rules.wait():
        missing("nftables in the kernel", "run the tests on a kernel with NAT")
    await (
        await asyncio.create_subprocess_exec(*networks.command(ROUTER), "sysctl", "-qw", "net.ipv4.ip_forward=1")
    ).wait()
    command = ["miniupnpd", "-d", "-f", str(tmp_path / "conf"), "-P", str(tmp_path / "pid")]
    with (tmp_path / "miniupnpd.log").open("wb") as log:
        daemon = await asyncio.create_subprocess_exec(*networks.command(ROUTER), *command, stdout=log, stderr=log)
    yield
    daemon.terminate()
    await daemon.wait()


@pytest.mark.usefixtures("router")
async def test_router_passes_the_port_on_and_gets_it_back(household: Household) -> None:
    ours = await household.start("ours", HOME, upnp=True)
    outside = await household.start("outside", OUTSIDE)

    async def mapped() -> bool:
        return bool((await ours.call("reachability"))["mapping"])

    await ours.until(mapped)
    addr = (await ours.call("about"))["addrs"][0]
    assert addr.startswith(f"/ip4/{OUTSIDE_IP}/tcp/")
    assert await outside.call("connect", addr=addr) == ours.peer_id
    port = int(addr.split("/")[4])
    household.all.remove(ours)
    await ours.close()
    assert not household.networks.can_reach(OUTSIDE, OUTSIDE_IP, port)
