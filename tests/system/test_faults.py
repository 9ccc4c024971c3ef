"""A machine, a chain, a network and a person that misbehave: a clear answer, nothing lost, no shouting."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from halle_cli.demo.actors import ChainProcess, NodeProcess, until
from halle_cli.demo.trading import has_quote, is_paying, is_settled, is_shipped
from halle_node.keys import Keys
from halle_protocol.errors import HalleError
from system.calm import assert_calm
from system.hall import SHIRT, Hall

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

MakeNode = Callable[[str, str], NodeProcess]
ROOM_BYTES = 200_000


@pytest.fixture(autouse=True)
def calm(tmp_path: Path) -> Iterator[None]:
    """No process of these tests may leave a traceback or an error in its log."""
    yield
    assert_calm(*tmp_path.glob("*.log"), tmp_path / "chain" / "chain.log")


@pytest.fixture
def node(chain: ChainProcess, make_node: MakeNode) -> NodeProcess:
    """One running node."""
    made = make_node("Camille", chain.rpc_url)
    made.start()
    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose keystore opens quickly."""
    made = tmp_path / "home"
    assert halle(made, "init", "--no-password", "--name", "Camille").returncode == 0
    return made


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HALLE_")}
    return {**kept, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "HALLE_SCRYPT_N": "2", **settings}


def command(home: Path, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "halle_cli", "--home", str(home), *map(str, arguments)]


def halle(home: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    done = subprocess.run(
        command(home, *arguments),
        capture_output=True,
        text=True,
        env=environment(**settings),
        timeout=60,
        check=False,
    )
    assert_calm(done.stderr)
    return done


def up(*more: str) -> list[str]:
    return ["up", "--no-open", "--local-port", "0", "--shop-port", "0", "--p2p-port", "0", *more]


def problem_of(call: Callable[[], Any]) -> str:
    """Return the code of the error that a call ends in."""
    with pytest.raises(HalleError) as raised:
        call()
    return raised.value.code


def check(node: NodeProcess, name: str) -> dict[str, str]:
    """Return one finding of the doctor."""
    found: dict[str, str] = next(one for one in node.api.get("/doctor")["checks"] if one["name"] == name)
    return found


def handles(node: NodeProcess) -> set[str]:
    return {product["handle"] for product in node.api.get("/products")["products"]}


# --- the home


def test_second_node_on_the_same_home_is_refused(node: NodeProcess) -> None:
    second = halle(node.home, *up("--rpc", node.rpc_url))
    assert second.returncode == 3
    assert "home-in-use" in second.stderr
    assert str(node.process and node.process.pid) in second.stderr
    assert node.api.get("/node")["store"]


def test_locked_database_is_told_and_loses_nothing(node: NodeProcess) -> None:
    node.api.post("/products", SHIRT)
    with closing(sqlite3.connect(node.home / "halle.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = problem_of(lambda: node.api.post("/products", {**SHIRT, "handle": "second"}))
        assert told == "database-locked"
        assert handles(node) == {"chemise-bleue"}
        other.execute("ROLLBACK")
    node.api.post("/products", {**SHIRT, "handle": "second"})
    assert handles(node) == {"chemise-bleue", "second"}


def test_locked_database_is_told_by_a_command(home: Path) -> None:
    assert halle(home, "product", "list").returncode == 0
    with closing(sqlite3.connect(home / "halle.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        told = halle(home, "product", "add", "--title", "Verre", "--price", "3")
        assert told.returncode == 4
        assert "database-locked" in told.stderr
        other.execute("ROLLBACK")
    assert halle(home, "product", "add", "--title", "Verre", "--price", "3").returncode == 0


@contextmanager
def little_room(node: NodeProcess) -> Iterator[None]:
    """Let the running node write no file beyond a small size: to it, a full disk."""
    assert node.process is not None
    before = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (ROOM_BYTES, before[1]))
    try:
        yield
    finally:
        resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, before)


def test_full_disk_is_told_and_keeps_what_was_there(node: NodeProcess) -> None:
    node.api.post("/products", SHIRT)
    node.api.post("/publish")
    head = node.api.get("/node")
    rows = "Handle,Title,Body (HTML),Variant Price\n" + "".join(
        f"p{number},Product {number},{'words ' * 200},{number + 1}\n" for number in range(500)
    )

    def imported() -> Any:
        return node.api.upload("/imports", rows.encode(), "text/csv", dry_run=False)

    with little_room(node):
        assert problem_of(imported) == "disk-full"
        assert handles(node) == {"chemise-bleue"}
        assert problem_of(lambda: node.api.post("/products", {**SHIRT, "handle": "second"})) == "disk-full"
        assert node.api.get("/node")["store"] == head["store"]
        assert check(node, "keys")["state"] == "ok"
    assert imported()["totals"]["created"] == 500
    assert node.api.post("/publish")["is_new"]
    assert node.api.get("/blocks/verify")["corrupt"] == []


# --- the chain


def test_node_serves_and_recovers_when_the_chain_comes_late(tmp_path: Path, make_node: MakeNode) -> None:
    chain = ChainProcess(tmp_path / "chain")
    node = make_node("Camille", chain.rpc_url)
    node.start()
    try:
        node.api.post("/products", SHIRT)
        node.api.post("/publish")
        found = check(node, "chain")
        assert found["state"] == "failed"
        assert "rpc-down" in found["message"]
        assert found["hint"]
        chain.start()
        until("the doctor finds the chain", lambda: check(node, "chain")["state"] == "ok")
        until("test money can be got", lambda: node.api.post("/wallet/test-money") or True)
        assert handles(node) == {"chemise-bleue"}
    finally:
        node.stop()
        chain.stop()


def test_node_does_not_start_on_a_wrong_chain(chain: ChainProcess, home: Path) -> None:
    told = halle(home, *up("--rpc", chain.rpc_url), HALLE_CHAIN_ID="1")
    assert told.returncode == 2
    assert "wrong-chain" in told.stderr
    assert "→" in told.stderr


def test_endpoint_of_a_false_chain_is_shown_and_not_believed(
    tmp_path: Path, chain: ChainProcess, make_node: MakeNode
) -> None:
    """It has our chain's number and contracts, and its own past."""
    false = ChainProcess(tmp_path / "false")
    false.folder.mkdir()
    (false.folder / "chain.jsonl").write_text('{"halle-chain":1,"id":31415926,"time":1600000000}\n')
    false.start()
    try:
        node = make_node("Camille", f"{chain.rpc_url} {false.rpc_url}")
        node.start()
        until("the doctor names it", lambda: "(wrong-chain)" in check(node, "chain")["message"])
        assert check(node, "chain")["state"] == "warning"
        states = node.api.get("/node")["chain"]["health"]["endpoints"]
        assert [(each["state"], each["error_code"]) for each in states] == [("asked", ""), ("set-aside", "wrong-chain")]
        assert false.rpc_url.endswith(states[1]["name"])
        chain.kill()
        until("the doctor misses the chain", lambda: check(node, "chain")["state"] == "failed")
        assert problem_of(lambda: node.api.post("/wallet/test-money")) in ("rpc-down", "wrong-chain")
        chain.start()
        until("test money can be got", lambda: check(node, "chain")["state"] == "warning")
        node.api.post("/wallet/test-money")
    finally:
        false.stop()


# --- Ctrl-C


def interrupted(arguments: Sequence[str], after_s: float, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    """Run a command, signal it after a while, and return how it ended."""
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(HALLE_SCRYPT_N="16384"),
        start_new_session=True,
    )
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    said = process.communicate(timeout=30)[0]
    return process.returncode, said


def moments(count: int, last_s: float) -> list[float]:
    """Times spread over a command's life, at random within their share."""
    share = last_s / count
    return [(index + random.random()) * share for index in range(count)]


# Before our first line runs, Python itself ends by the signal.
STOPPED = {0, 130, -signal.SIGINT}


def test_init_can_be_interrupted_at_any_moment(tmp_path: Path) -> None:
    for index, after_s in enumerate(moments(5, 1.2)):
        home = tmp_path / f"home-{index}"
        status, said = interrupted(command(home, "init", "--no-password"), 0.15 + after_s)
        if status == 1 and "halle_cli" not in said:
            continue  # the interpreter was still starting
        assert status in STOPPED, said
        assert_calm(said)
        again = halle(home, "init", "--no-password")
        # Either nothing was made, or all of it was and its words were shown.
        assert again.returncode == 0 or ("keys-exist" in again.stderr and "Write these words" in said), said
        assert not Keys.open(home).locked


def test_node_can_be_interrupted_while_it_starts(chain: ChainProcess, home: Path) -> None:
    for after_s in moments(4, 3.0):
        number = random.choice((signal.SIGINT, signal.SIGTERM))
        status, said = interrupted(command(home, *up("--rpc", chain.rpc_url)), 0.3 + after_s, number)
        assert status in STOPPED | {-number}, (after_s, said)
        assert_calm(said)
    assert not (home / "run" / "node.json").exists()
    assert halle(home, "product", "list").returncode == 0


def test_import_can_be_interrupted_at_any_moment(home: Path, tmp_path: Path) -> None:
    rows = "".join(f"p{number},Product {number},{number + 1}\n" for number in range(1000))
    path = tmp_path / "many.csv"
    path.write_text("Handle,Title,Variant Price\n" + rows)
    for after_s in moments(3, 2.0):
        status, said = interrupted(command(home, "import", path, "--apply"), 0.4 + after_s)
        assert status in STOPPED, said
        assert_calm(said)
        with closing(sqlite3.connect(home / "halle.db")) as found:
            # Stopped before the first migration, there is no table yet.
            tables = found.execute("SELECT count(*) FROM sqlite_master WHERE name = 'catalog_product'").fetchone()
            count = found.execute("SELECT count(*) FROM catalog_product").fetchone()[0] if tables[0] else 0
        assert count in (0, 1000), count
    assert halle(home, "import", path, "--apply").returncode == 0


def test_node_closes_on_sigterm(node: NodeProcess) -> None:
    assert node.process is not None
    node.process.terminate()
    assert node.process.wait(15) == 0
    assert not (node.home / "run" / "node.json").exists()
    node.start()
    assert node.api.get("/node")["store"]


# --- around an order


def test_order_goes_on_when_the_chain_was_away(hall: Hall) -> None:
    deal = hall.quoted()
    hall.chain.kill()
    until("the doctor misses the chain", lambda: check(hall.buyer, "chain")["state"] == "failed")
    if deal.may(hall.buyer, "approve"):
        order = deal.at(hall.buyer)
        assert order is not None
        assert problem_of(lambda: hall.buyer.api.post(f"/orders/{deal.key}/approve", {})) == "rpc-down"
    hall.chain.start()
    until("the doctor finds the chain", lambda: check(hall.buyer, "chain")["state"] == "ok")
    if deal.may(hall.buyer, "approve"):
        deal.move(hall.buyer, "approve")
    deal.reaches(hall.merchant, "the money is in escrow", is_paying("escrowed"))


def test_request_sealed_to_a_destroyed_prekey_is_sealed_again(hall: Hall) -> None:
    """Sent while the merchant was away; the key to it is gone when the merchant is back with a new one."""
    hall.merchant.stop()
    deal = hall.ask()
    destroyed = list((hall.merchant.home / "keys" / "prekeys").glob("*.json"))
    assert destroyed
    for path in destroyed:
        path.unlink()
    hall.merchant.start()
    order = deal.reaches(hall.buyer, "a signed quote comes back", has_quote)
    assert not order["problem"]
    assert not any(path.exists() for path in destroyed)


def flood(port: int, *, seconds: float) -> None:
    """Send noise to a port over and over, and hold some connections open without a word."""
    noise = random.Random(7)
    openings = (
        b"",
        b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n",
        b"POST /api/v1/publish HTTP/1.1\r\n\r\n",
        b"\x13/multistream/1.0.0\n",
    )
    silent = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            link = socket.create_connection(("127.0.0.1", port), timeout=2)
            link.sendall(noise.choice(openings) + noise.randbytes(noise.choice((1, 40, 3000))))
        except OSError:
            continue
        if len(silent) < 20:
            silent.append(link)
        else:
            link.close()
    for link in silent:
        link.close()


def test_order_completes_under_garbage_on_every_port(hall: Hall) -> None:
    found = hall.merchant.found
    ports = [
        int(found.local_url.rsplit(":", 1)[1]),
        int(found.shop_url.rsplit(":", 1)[1]),
        hall.merchant.p2p_port,
    ]
    script = "import sys; from system.test_faults import flood; flood(int(sys.argv[1]), seconds=float(sys.argv[2]))"
    tests = str(Path(__file__).resolve().parents[1])
    floods = [
        subprocess.Popen([sys.executable, "-c", script, str(port), "15"], env=environment(PYTHONPATH=tests))
        for port in ports
    ]
    try:
        deal = hall.quoted()
        deal.move(hall.buyer, "approve")
        deal.reaches(hall.merchant, "the money is in escrow", is_paying("escrowed"))
        deal.move(hall.merchant, "ship", carrier="Colissimo", tracking="8R1")
        code = deal.reaches(hall.buyer, "the parcel is announced", is_shipped)["delivery_code"]
        deal.move(hall.merchant, "hand_over", code=code)
        deal.move(hall.buyer, "release")
        deal.reaches(hall.merchant, "the merchant sees it settled", is_settled)
    finally:
        for process in floods:
            process.terminate()
            process.wait()
    assert hall.merchant.api.get("/node")["store"]
