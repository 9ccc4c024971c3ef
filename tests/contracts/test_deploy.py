"""The same addresses and code on every chain; `halle contracts deploy` and `verify` against real nodes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import halle_contracts
from cli.conftest import Answer, run
from contracts.evm_market import fixture_code
from contracts.npm_tools import FORGE
from halle_contracts import encode_call
from halle_protocol.keys import to_checksum
from requirements import missing

ANVIL = FORGE.parents[2] / FORGE.parents[1].name.replace("forge", "anvil") / "bin" / "anvil"
RICH_KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # anvil's first, known to everybody
RICH = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
EXPECTED = {name: to_checksum(halle_contracts.predicted_address(name)) for name in halle_contracts.SHIPPED}


def halle(*words: str | Path) -> Answer:
    """Run a `halle contracts` command."""
    return run("contracts", *words)


@contextmanager
def serving(command: list[str], ready: str) -> Iterator[str]:
    """Run a chain; yield its URL once it says where it listens."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = next(line for line in process.stdout if ready in line)
            # It goes on talking, and would stand still when nobody listens.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield "http://" + line.split()[-1].removeprefix("http://")
        finally:
            process.terminate()
            process.wait(timeout=20)


@contextmanager
def anvil(chain_id: int, *more: str) -> Iterator[str]:
    if not ANVIL.is_file():
        missing("anvil", "run `npm ci --ignore-scripts` in contracts/")
    command = [str(ANVIL), "--port", "0", "--chain-id", str(chain_id), *more]
    with serving(command, "Listening on") as url:
        yield url


def ask(url: str, method: str, *params: object) -> Any:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["result"]


def receipt(url: str, transaction: str) -> dict[str, Any]:
    """The receipt, waited for: anvil answers with the hash before it has mined."""
    deadline = time.monotonic() + 20
    while (found := ask(url, "eth_getTransactionReceipt", transaction)) is None:
        assert time.monotonic() < deadline, f"{transaction} was never mined"
        time.sleep(0.05)
    return dict(found)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(RICH_KEY)
    return path


def test_addresses_and_code_are_the_same_on_two_chains(key_file: Path) -> None:
    codes = []
    for chain_id in (1_001, 2_002):
        with anvil(chain_id) as url:
            assert int(ask(url, "eth_chainId"), 16) == chain_id
            told = halle("deploy", "--rpc", url, "--key-file", key_file, "--json")
            assert told.status == 0, told.err
            assert json.loads(told.out) == EXPECTED
            codes.append([ask(url, "eth_getCode", address, "latest") for address in EXPECTED.values()])
            assert halle("verify", "--rpc", url).status == 0
    assert codes[0] == codes[1]
    assert [bytes.fromhex(code[2:]) for code in codes[0]] == [halle_contracts.deployed_runtime(n) for n in EXPECTED]


def test_deploy_goes_on_where_it_stopped_and_verify_tells_what_is_wrong(key_file: Path) -> None:
    with anvil(3_003) as url:
        told = halle("verify", "--rpc", url, "--json")
        assert (told.status, {row["verdict"] for row in json.loads(told.out)}) == (2, {"missing"})
        assert told.code == "contracts-missing"
        assert "halle contracts deploy" in told.err

        assert halle("deploy", "--rpc", url, "--key-file", key_file).status == 0
        ask(url, "anvil_setCode", EXPECTED["Escrow"], "0x")
        told = halle("verify", "--rpc", url)
        assert "no Escrow of this release" in told.err
        ask(url, "anvil_setNonce", to_checksum(halle_contracts.predicted_address("Escrow")), "0x0")
        assert halle("deploy", "--rpc", url, "--key-file", key_file).status == 0
        assert halle("verify", "--rpc", url).status == 0

        spoilt = bytearray(halle_contracts.deployed_runtime("Escrow"))
        spoilt[-1] ^= 1
        ask(url, "anvil_setCode", EXPECTED["Escrow"], "0x" + spoilt.hex())
        told = halle("verify", "--rpc", url, "--json")
        verdicts = {row["contract"]: row["verdict"] for row in json.loads(told.out)}
        assert verdicts == {"DeliveryTracking": "same", "Escrow": "different", "Warranty": "same"}
        assert (told.status, told.code) == (2, "contracts-differ")


def test_court_becomes_an_arbiter_at_an_address_that_follows_from_it(key_file: Path) -> None:
    with anvil(5_005) as url:
        court = ask(url, "eth_sendTransaction", {"from": RICH, "data": "0x" + fixture_code("Court").hex()})
        address = receipt(url, court)["contractAddress"]
        words = ["--court", address, "--court-data", "0x00ff", "--court-rules", "ipfs://rules"]
        assert halle("deploy", "--rpc", url, "--key-file", key_file).status == 0
        told = halle("verify", "--rpc", url, *words, "--json")
        assert (told.status, told.code) == (2, "contracts-missing")

        told = halle("deploy", "--rpc", url, "--key-file", key_file, *words, "--json")
        assert told.status == 0, told.err
        arbiter = halle_contracts.CourtArbiter(bytes.fromhex(address[2:]), b"\x00\xff", "ipfs://rules")
        assert json.loads(told.out) == EXPECTED | {"ArbiterERC792": to_checksum(arbiter.address)}
        assert halle("verify", "--rpc", url, *words).status == 0
        assert bytes.fromhex(ask(url, "eth_getCode", to_checksum(arbiter.address), "latest")[2:]) == arbiter.runtime

        for function, value in (("court", arbiter.court), ("escrow", bytes.fromhex(EXPECTED["Escrow"][2:]))):
            call = {"to": to_checksum(arbiter.address), "data": "0x" + encode_call("ArbiterERC792", function).hex()}
            answer = bytes.fromhex(ask(url, "eth_call", call, "latest")[2:])
            assert halle_contracts.decode_result("ArbiterERC792", function, answer) == value


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--court", "0x" + "c0" * 20), "court-missing"),
        (("--court", "0x" + "c0" * 19), "court-malformed"),
        (("--court", "court.eth"), "court-malformed"),
        (("--court-data", "0x00"), "court-malformed"),
    ],
)
def test_deploy_refuses_a_court_that_is_not_there(key_file: Path, words: tuple[str, ...], code: str) -> None:
    with anvil(6_006) as url:
        told = halle("deploy", "--rpc", url, "--key-file", key_file, *words)
        assert (told.status, told.code) == (2, code)
        assert ask(url, "eth_getCode", EXPECTED["Escrow"], "latest") == "0x"


def test_deploy_says_so_when_the_chain_has_no_deployer(key_file: Path) -> None:
    with anvil(4_004) as url:
        ask(url, "anvil_setCode", to_checksum(halle_contracts.DEPLOYER_ADDRESS), "0x")
        told = halle("deploy", "--rpc", url, "--key-file", key_file)
        assert (told.status, told.code) == (2, "no-create2-deployer")


def test_embedded_chain_has_this_release_at_the_same_addresses(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "halle_node.chain.embedded", "--data", str(tmp_path), "--port", "0"]
    with serving([*command, "--with-parent"], "ready") as url:
        told = halle("verify", "--rpc", url, "--json")
    assert told.status == 0, told.err
    found = {row["contract"]: (row["address"], row["verdict"]) for row in json.loads(told.out)}
    assert found == {name: (address, "same") for name, address in EXPECTED.items()}


def test_verify_says_so_when_nobody_answers() -> None:
    told = halle("verify", "--rpc", "http://127.0.0.1:1")
    assert told.code == "rpc-down"
    assert told.status != 0
