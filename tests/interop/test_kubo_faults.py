"""A daemon that is down, slow, full, locked, foreign or lying never holds up the shop, and the status says why."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from halle_node.blocks.kubo import Daemon, make_calls
from halle_node.config import load
from halle_protocol.errors import RemoteProtocolError
from interop.conftest import MakeKubo
from interop.goods import Goods
from interop.kubo_daemon import KuboDaemon, RpcFailed
from interop.kubo_proxy import kubo_proxy, self_signed
from interop.kubo_shop import kubo_shop
from requirements import missing

CLIENTS = ("aiohttp", "ipfshttpclient")
clients = pytest.mark.parametrize("client", CLIENTS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def fixed(make_kubo: MakeKubo) -> KuboDaemon:
    """A daemon, not running, that comes back at the same address."""
    return make_kubo({"Addresses.API": f"/ip4/127.0.0.1/tcp/{free_port()}"})


@clients
async def test_daemon_that_is_down_is_filled_when_it_is_back(tmp_path: Path, fixed: KuboDaemon, client: str) -> None:
    api = f"/ip4/127.0.0.1/tcp/{_port(fixed)}"
    async with kubo_shop(tmp_path, api, kubo_client=client) as keeper:
        published = await keeper.offer("blue-shirt")
        assert published.is_new
        status = await keeper.failed("kubo-down")
        assert (status.state, status.seq, status.pins) == ("failed", 0, ())
        assert status.next_try_at >= keeper.shop.clock()
        await asyncio.to_thread(fixed.start)
        keeper.publisher.nudge()
        assert (await keeper.kept(published)).trouble is None
        await asyncio.to_thread(fixed.stop)
        again = await keeper.offer("red-shirt")
        assert (await keeper.failed("kubo-down")).seq == published.head.seq < again.head.seq


def _port(daemon: KuboDaemon) -> str:
    return daemon.run("config", "Addresses.API").strip().rpartition("/")[2]


@clients
async def test_frozen_daemon_is_slow_and_then_served(tmp_path: Path, kubo: KuboDaemon, client: str) -> None:
    async with kubo_shop(tmp_path, kubo.api, kubo_client=client, kubo_timeout_s=1) as keeper:
        kubo.pause()
        try:
            published = await keeper.offer("blue-shirt")
            await keeper.failed("kubo-slow")
        finally:
            kubo.resume()
        keeper.publisher.nudge()
        await keeper.kept(published)


async def test_locked_repository_is_named_where_the_daemon_cannot_start(tmp_path: Path, fixed: KuboDaemon) -> None:
    """An offline command holds the repository: the daemon does not start, and the shop goes on."""
    holder = subprocess.Popen(
        [fixed.program, "dag", "import"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=fixed.environ
    )
    try:
        while not (fixed.repo / "repo.lock").exists():
            await asyncio.sleep(0.02)
        with pytest.raises(RpcFailed, match="lock"):
            await asyncio.to_thread(fixed.start)
        async with kubo_shop(tmp_path, f"http://127.0.0.1:{_port_of(fixed)}") as keeper:
            published = await keeper.offer("blue-shirt")
            status = await keeper.failed("kubo-down")
            assert status.trouble is not None
            assert "repository" in status.trouble.hint
            holder.communicate()
            await asyncio.to_thread(fixed.start)
            keeper.publisher.nudge()
            await keeper.kept(published)
    finally:
        holder.kill()
        holder.communicate()
        await asyncio.to_thread(fixed.stop)


def _port_of(daemon: KuboDaemon) -> str:
    """Read the port from the settings: the command line wants the lock."""
    import json

    api: str = json.loads((daemon.repo / "config").read_text())["Addresses"]["API"]
    return api.rpartition("/")[2]


async def test_daemon_over_its_own_limit_is_full(tmp_path: Path, make_kubo: MakeKubo) -> None:
    daemon = make_kubo({"Datastore.StorageMax": "1KB"}).start()
    async with kubo_shop(tmp_path, daemon.api) as keeper:
        await keeper.offer("blue-shirt")
        assert (await keeper.failed("kubo-full")).pins == ()
    daemon.stop()


@clients
async def test_full_disk_of_the_daemon_is_told(tmp_path: Path, make_kubo: MakeKubo, client: str) -> None:
    if os.geteuid() != 0:
        missing("mount namespaces", "run as root, for a small disk of its own")
    daemon = make_kubo({"Datastore.StorageMax": "1GB"})
    daemon.start(disk_kb=64)
    async with kubo_shop(tmp_path, daemon.api, kubo_client=client) as keeper:
        await keeper.offer("blue-shirt")
        for number in range(10):
            await keeper.shop.catalog.add_photo("blue-shirt", "noise.png", _noisy(number))
        await keeper.shop.catalog.publish()
        keeper.publisher.nudge()
        await keeper.failed("kubo-full")
    daemon.stop()


def _noisy(seed: int) -> bytes:
    """A picture that does not compress."""
    import io

    from PIL import Image

    from interop.goods import noise

    out = io.BytesIO()
    Image.frombytes("RGB", (200, 200), noise(120_000, str(seed))).save(out, "PNG")
    return out.getvalue()


@clients
@pytest.mark.parametrize("secret", ["basic:shop:s3cret", "bearer:t0ken"])
async def test_only_the_right_secret_opens_the_daemon(
    tmp_path: Path, guarded: KuboDaemon, client: str, secret: str
) -> None:
    wrong = {"kubo_client": client, "kubo_auth": SecretStr(secret + "x")}
    async with kubo_shop(tmp_path, guarded.api, **wrong) as keeper:
        published = await keeper.offer("blue-shirt")
        status = await keeper.failed("kubo-auth")
        assert secret.rpartition(":")[2] not in repr(status)
    async with kubo_shop(tmp_path, guarded.api, kubo_client=client, kubo_auth=SecretStr(secret)) as keeper:
        await keeper.kept(published)


@pytest.fixture(scope="module")
def guarded(make_kubo: MakeKubo) -> KuboDaemon:
    """A daemon that lets in who knows a secret."""
    allowed = {
        name: {"AuthSecret": secret, "AllowedPaths": ["/api/v0"]}
        for name, secret in (("one", "basic:shop:s3cret"), ("two", "bearer:t0ken"))
    }
    daemon = make_kubo({"API.Authorizations": allowed})
    daemon.headers = {"Authorization": "Bearer t0ken"}
    return daemon.start()


@clients
async def test_daemon_behind_a_unix_socket_keeps_the_shop(tmp_path: Path, make_kubo: MakeKubo, client: str) -> None:
    path = f"/tmp/halle-{os.getpid()}-{client}.sock"
    daemon = make_kubo({"Addresses.API": f"/unix{path}"}).start()
    for spelled in (f"unix:{path}", f"/unix{path}"):
        async with kubo_shop(tmp_path, spelled, kubo_client=client) as keeper:
            published = keeper.shop.catalog.current_head() or await keeper.offer("blue-shirt")
            assert (await keeper.kept(published)).address == f"unix:{path}"
    daemon.stop()


async def test_daemon_behind_tls_is_trusted_only_with_its_authority(tmp_path: Path, kubo: KuboDaemon) -> None:
    context, trusted = self_signed(tmp_path)
    async with kubo_proxy(kubo.api, tls=context) as api:
        async with kubo_shop(tmp_path / "home", api) as keeper:
            published = await keeper.offer("blue-shirt")
            await keeper.failed("kubo-down")
        async with kubo_shop(tmp_path / "home", api, kubo_ca_file=trusted) as keeper:
            assert (await keeper.kept(published)).is_private


LIES = {"add": "kubo-wrong-cid", "pin/add": "kubo-wrong-cid", "version": "kubo-version"}


@clients
@pytest.mark.parametrize("path", LIES)
async def test_daemon_that_answers_for_something_else_is_not_believed(
    tmp_path: Path, kubo: KuboDaemon, client: str, path: str
) -> None:
    """A real daemon gives the right answer; something on the way changes it."""

    def lie(called: str, body: bytes) -> bytes:
        return body.replace(b'"bafy', b'"bafk').replace(b'"0.', b'"0.0.') if called == path else body

    async with kubo_proxy(kubo.api, lie) as api, kubo_shop(tmp_path, api, kubo_client=client) as keeper:
        await keeper.offer("blue-shirt")
        status = await keeper.failed(LIES[path])
        assert (status.state, status.pins) == ("failed", ())
        assert status.trouble is not None
        assert not status.trouble.passes


@clients
async def test_single_block_under_another_name_is_not_believed(kubo: KuboDaemon, goods: Goods, client: str) -> None:
    def lie(called: str, body: bytes) -> bytes:
        return body.replace(b'"bafy', b'"bafk') if called == "block/put" else body

    async with kubo_proxy(kubo.api, lie) as api:
        daemon = Daemon(make_calls(load(Path("/nowhere"), {"kubo_api": api, "kubo_client": client}, {})))
        with pytest.raises(RemoteProtocolError) as caught:
            await daemon.send([(goods.listing, goods.blocks[goods.listing])])
        await daemon.close()
    assert caught.value.code == "kubo-wrong-cid"


@clients
async def test_garbage_instead_of_a_daemon_is_told(tmp_path: Path, kubo: KuboDaemon, client: str) -> None:
    async with (
        kubo_proxy(kubo.api, lambda path, body: b"<html>hello</html>") as api,
        kubo_shop(tmp_path, api, kubo_client=client) as keeper,
    ):
        await keeper.offer("blue-shirt")
        await keeper.failed("kubo-answer")


async def test_older_daemon_is_served_by_its_older_calls(tmp_path: Path, make_kubo: MakeKubo) -> None:
    """Without name/put and provide/once, as before 0.40, the general routing calls do."""
    near, far = (make_kubo({"Routing.Type": "dhtserver"}).start() for _ in range(2))
    near.connect(far.addrs[0])
    newer: set[str] = {"provide/once"}

    def older(called: str, body: bytes) -> bytes | None:
        return None if called in newer or called.startswith("name/") else body

    async with kubo_proxy(near.api, older) as api, kubo_shop(tmp_path, api) as keeper:
        status = await keeper.kept(await keeper.offer("blue-shirt"))
        assert (status.name_trouble, status.provide_trouble) == (None, None)
        await asyncio.to_thread(far.rpc, "name/resolve", keeper.naming.name)
    for daemon in (near, far):
        daemon.stop()


async def test_name_that_leads_further_is_told(tmp_path: Path, make_kubo: MakeKubo) -> None:
    """Another copy of the node has published under the same peer key."""
    from halle_protocol import ipns

    daemon = make_kubo({"Routing.Type": "dhtserver"}).start()
    other = make_kubo({"Routing.Type": "dhtserver"}).start()
    daemon.connect(other.addrs[0])
    async with kubo_shop(tmp_path, daemon.api) as keeper:
        until = keeper.shop.clock() + 86_400
        record = ipns.create(keeper.shop.keys.peer_private, "/ipfs/elsewhere", 1_000, until)
        await asyncio.to_thread(daemon.rpc, "name/put", keeper.naming.name, data=record)
        status = await keeper.kept(await keeper.offer("blue-shirt"))
        assert status.name_trouble is not None
        assert status.name_trouble.code == "kubo-name-behind"
        assert status.name == ""
    for one in (daemon, other):
        one.stop()
