"""The embedded chain keeps its word across kill -9, and its journal is the chain."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from eth_account import Account
from web3 import Web3

from halle_contracts import DEPLOYER_ADDRESS
from halle_node.chain import ChainClient, EmbeddedChain, dev_advance, dev_faucet
from halle_node.chain.embedded import CHAIN_ID
from halle_node.chain.embedded.genesis import FAUCET_KEY
from halle_node.chain.embedded.journal import FILE_NAME
from halle_node.chain.embedded.pool import TxRejected
from halle_node.chain.embedded.service import ChainService
from halle_node.chain.rpc import RpcError
from halle_node.chain.transaction import UnsignedTx, sign_transaction
from halle_protocol.errors import ConfigError, Refused
from halle_protocol.keys import address_of, keccak256

PAYER = keccak256(b"payer of the embedded tests")
PAYEE = b"\x42" * 20


def payment(nonce: int, *, value: int = 1, tip: int = 1, max_fee: int = 10**10, **changes: Any) -> bytes:
    fields = {"chain_id": CHAIN_ID, "gas": 21_000, "to": PAYEE, "data": b""} | changes
    return sign_transaction(PAYER, UnsignedTx(nonce=nonce, value=value, tip=tip, max_fee=max_fee, **fields)).raw


def faucet_payment(service: ChainService, to: bytes) -> None:
    nonce = service.head_state().get_nonce(address_of(FAUCET_KEY))
    tx = UnsignedTx(CHAIN_ID, nonce, to, b"", 10**18, 21_000, 10**10, 1)
    service.submit(sign_transaction(FAUCET_KEY, tx).raw)


@pytest.fixture
def service(tmp_path: Path) -> Any:
    found = ChainService(tmp_path, lambda: 1_700_000_000)
    faucet_payment(found, address_of(PAYER))
    yield found
    found.close()


def reopened(service: ChainService, tmp_path: Path) -> ChainService:
    service.close()
    return ChainService(tmp_path, lambda: 1_800_000_000)


def test_signed_bytes_are_those_of_eth_account() -> None:
    tx = UnsignedTx(CHAIN_ID, 7, PAYEE, b"\x01\x02", 5, 30_000, 10**10, 3)
    ours = sign_transaction(PAYER, tx)
    theirs = Account.from_key(PAYER).sign_transaction(
        {
            "chainId": CHAIN_ID,
            "nonce": 7,
            "to": Web3.to_checksum_address(PAYEE),
            "data": b"\x01\x02",
            "value": 5,
            "gas": 30_000,
            "maxFeePerGas": 10**10,
            "maxPriorityFeePerGas": 3,
        }
    )
    assert (ours.raw, ours.hash) == (bytes(theirs.raw_transaction), bytes(theirs.hash))


def test_replay_gives_the_same_blocks(service: ChainService, tmp_path: Path) -> None:
    service.submit(payment(0))
    service.increase_time(1_000)
    service.mine(3)
    service.submit(payment(1))
    before = [block.hash for block in service.evm.blocks]
    again = reopened(service, tmp_path)
    assert [block.hash for block in again.evm.blocks] == before
    assert again.offset_s == 1_000
    again.close()


def test_two_chains_differ_in_their_first_block(tmp_path: Path) -> None:
    first, second = (ChainService(tmp_path / str(time), lambda t=time: t) for time in (1_000, 1_001))
    assert first.evm.head.hash != second.evm.head.hash
    first.close()
    second.close()


def test_blocks_of_one_second_do_not_push_the_clock(service: ChainService) -> None:
    for nonce in range(5):
        service.submit(payment(nonce))
    assert service.evm.head.header.timestamp == 1_700_000_000


def test_waiting_transactions_survive_a_restart(service: ChainService, tmp_path: Path) -> None:
    service.set_automine(False)
    service.submit(payment(0))
    service.submit(payment(1))
    again = reopened(service, tmp_path)
    assert again.pool.pending_nonce(address_of(PAYER), 0) == 2
    again.mine()
    assert len(again.evm.head.txs) == 2
    again.close()


def test_a_gap_in_nonces_waits_until_it_is_filled(service: ChainService) -> None:
    service.submit(payment(1))
    assert service.head_state().get_nonce(address_of(PAYER)) == 0
    service.submit(payment(0))
    assert service.head_state().get_nonce(address_of(PAYER)) == 2


def test_a_dearer_transaction_replaces_a_waiting_one(service: ChainService) -> None:
    service.set_automine(False)
    service.submit(payment(0, value=1, tip=10, max_fee=10**10))
    with pytest.raises(TxRejected, match="underpriced"):
        service.submit(payment(0, value=2, tip=10, max_fee=10**10 + 1))
    dearer = service.submit(payment(0, value=2, tip=11, max_fee=11 * 10**9))
    service.mine()
    assert [bytes(mined.tx.hash) for mined in service.evm.head.txs] == [dearer]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "rlp"),
        (b"\x02\xff", "rlp"),
        (b"\x12\x34", "rlp"),
        (payment(0, chain_id=1), "invalid chain id"),
        (payment(0, gas=20_000), "intrinsic gas"),
        (payment(0, value=10**30), "insufficient funds"),
        (payment(500), "nonce too high"),
    ],
)
def test_bad_transactions_are_refused_in_geths_words(service: ChainService, raw: bytes, says: str) -> None:
    with pytest.raises(TxRejected, match=says):
        service.submit(raw)
    assert service.evm.head.number == 1


def test_known_and_used_nonces_are_told_apart(service: ChainService) -> None:
    service.set_automine(False)
    service.submit(payment(0))
    with pytest.raises(TxRejected, match="already known"):
        service.submit(payment(0))
    service.mine()
    with pytest.raises(TxRejected, match="nonce too low"):
        service.submit(payment(0))


@pytest.mark.parametrize("torn", [b'{"time":17', b'{"time":1700000000,"txs":[],"hash":"ab"', b"\x00\x00"])
def test_torn_last_line_is_cut_off(service: ChainService, tmp_path: Path, torn: bytes) -> None:
    head = service.evm.head.hash
    service.close()
    with open(tmp_path / FILE_NAME, "ab") as journal:
        journal.write(torn)
    again = ChainService(tmp_path, lambda: 1_700_000_000)
    assert again.evm.head.hash == head
    again.submit(payment(0))
    final = reopened(again, tmp_path)
    assert final.evm.head.number == 2
    final.close()


def test_damage_inside_the_journal_stops_the_chain(service: ChainService, tmp_path: Path) -> None:
    service.submit(payment(0))
    service.close()
    path = tmp_path / FILE_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"garbage\n", *lines[2:]]))
    with pytest.raises(Refused) as caught:
        ChainService(tmp_path, lambda: 0)
    assert caught.value.code == "chain-journal-corrupt"


def test_a_changed_transaction_stops_the_chain(service: ChainService, tmp_path: Path) -> None:
    service.close()
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text().replace('"time":1700000000,"hash"', '"time":1700000001,"hash"'))
    with pytest.raises(Refused) as caught:
        ChainService(tmp_path, lambda: 0)
    assert caught.value.code == "chain-journal-corrupt"


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from halle_node.chain.embedded.service import ChainService
from halle_protocol.errors import Unavailable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
chain = ChainService(Path(sys.argv[1]), lambda: 1_700_000_000)
size = (Path(sys.argv[1]) / "chain.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
try:
    for _ in range(10):
        chain.mine()
except Unavailable as error:
    print(error.code, chain.evm.head.number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
chain.mine()
print(chain.evm.head.hash.hex())
chain.close()
"""


def test_full_disk_refuses_the_block_and_harms_nothing(service: ChainService, tmp_path: Path) -> None:
    number = service.evm.head.number
    service.close()
    ran = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    code, at, head = ran.stdout.split()
    assert (code, int(at)) == ("disk-full", number)
    again = ChainService(tmp_path, lambda: 0)
    assert (again.evm.head.hash.hex(), again.evm.head.number) == (head, number + 1)
    again.close()


def test_one_folder_serves_one_chain(service: ChainService, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        ChainService(tmp_path, lambda: 0)
    assert caught.value.code == "chain-in-use"


async def test_killed_chain_comes_back_whole(tmp_path: Path) -> None:
    chain = EmbeddedChain(tmp_path)
    client = ChainClient(await chain.start())
    await client.connect()
    await dev_faucet(client, PAYEE)
    await dev_advance(client, 500)
    hashes = [(await client.head()).hash, client.genesis_hash]
    await chain.kill()
    await client.close()
    again = ChainClient(await chain.start())
    await again.connect()
    assert [(await again.head()).hash, again.genesis_hash] == hashes
    assert await again.balance(PAYEE) == 10**19
    await again.close()
    await chain.stop()


async def test_second_chain_on_a_taken_port_or_folder_is_refused(tmp_path: Path, chain_url: str) -> None:
    port = urlsplit(chain_url).port or 0
    with pytest.raises(ConfigError) as caught:
        await EmbeddedChain(tmp_path / "a", port).start()
    assert caught.value.code == "port-taken"
    first = EmbeddedChain(tmp_path / "b")
    await first.start()
    with pytest.raises(ConfigError) as caught:
        await EmbeddedChain(tmp_path / "b").start()
    assert caught.value.code == "chain-in-use"
    await first.stop()


async def test_estimate_is_enough_and_call_reports_reverts(client: ChainClient) -> None:
    account = address_of(PAYER)
    await dev_faucet(client, account)
    token = client.contracts.address_of("tEUR")
    data = bytes.fromhex("a9059cbb") + bytes(12) + PAYEE + (5).to_bytes(32, "big")
    gas = await client.estimate_gas(account, token, data, 0)
    assert 30_000 < gas < 80_000
    fees = await client.fees()
    raw = payment(
        await client.nonce(account, "pending"),
        value=0,
        gas=gas,
        to=token,
        data=data,
        max_fee=fees.max_fee,
        tip=fees.tip,
    )
    receipt = await client.receipt(await client.send_raw(raw))
    assert receipt is not None
    assert receipt.succeeded
    with pytest.raises(Refused) as caught:
        await client.estimate_gas(b"\x99" * 20, token, data, 0)
    assert caught.value.facts["reason"] == "ERC20InsufficientBalance"


async def test_logs_are_filtered_by_topic_and_block(client: ChainClient) -> None:
    await dev_faucet(client, PAYEE)
    token = "0x" + client.contracts.address_of("tEUR").hex()
    to_payee = "0x" + PAYEE.rjust(32, b"\0").hex()
    everything = {"address": token, "fromBlock": "0x0", "toBlock": "latest"}
    found = await client.request("eth_getLogs", {**everything, "topics": [None, None, [to_payee]]})
    assert found
    assert {log["topics"][2] for log in found} == {to_payee}
    of_block = await client.request("eth_getLogs", {"address": token, "blockHash": found[-1]["blockHash"]})
    assert found[-1] in of_block
    assert await client.request("eth_getLogs", {**everything, "topics": [to_payee]}) == []


async def test_web3_reads_blocks_fees_and_receipts(chain_url: str, client: ChainClient) -> None:
    hashes = await dev_faucet(client, PAYEE)
    web3 = Web3(Web3.HTTPProvider(chain_url))
    receipt = web3.eth.get_transaction_receipt("0x" + hashes[1].hex())
    block = web3.eth.get_block(receipt["blockHash"], full_transactions=True)
    assert block["transactions"][0] == web3.eth.get_transaction(receipt["transactionHash"])
    assert web3.eth.fee_history(3, "latest", [50])["baseFeePerGas"]
    assert web3.eth.get_code(Web3.to_checksum_address(DEPLOYER_ADDRESS))
    assert web3.eth.gas_price > 0
    assert web3.net.version == str(CHAIN_ID)
    for tag in ("safe", "finalized", "pending", "earliest"):
        assert web3.eth.get_block(tag)["number"] >= 0


def post(url: str, body: bytes, **headers: str) -> tuple[int, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    connection.request("POST", "/", body, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if response.status == 200 else None


ASK = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}).encode()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:8545"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_server_answers_programs_of_this_machine_only(chain_url: str, headers: dict[str, str], status: int) -> None:
    assert post(chain_url, ASK, **headers)[0] == status


def test_server_answers_batches_in_order_and_bounds_requests(chain_url: str) -> None:
    batch = [{"jsonrpc": "2.0", "id": n, "method": "eth_chainId", "params": []} for n in range(3)]
    _, answers = post(chain_url, json.dumps(batch).encode())
    assert [answer["id"] for answer in answers] == [0, 1, 2]
    for bad in (b"{", b"[]", b"5", b'"x"', b"[" * 5_000, json.dumps(batch * 200).encode(), b'{"method": 5}'):
        assert "error" in post(chain_url, bad)[1]
    assert post(chain_url, b" " * 2_000_000)[0] == 413


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", ["0x12", "latest"]),
        ("eth_getBalance", []),
        ("eth_getBlockByNumber", ["soon", False]),
        ("eth_getBlockByNumber", [{}, False]),
        ("eth_call", [5]),
        ("eth_call", [{"to": "0x" + "11" * 20, "gas": "0x5"}, "latest"]),
        ("eth_getLogs", [{"topics": 5}]),
        ("eth_sendRawTransaction", [None]),
        ("evm_increaseTime", [-5]),
        ("evm_mine", ["0xffffffff"]),
        ("eth_getTransactionReceipt", ["0x00"]),
        ("halle_faucet", ["nobody"]),
    ],
)
async def test_bad_parameters_get_an_answer(client: ChainClient, method: str, params: list[Any]) -> None:
    with pytest.raises(RpcError):
        await client.request(method, *params)
    assert await client.request("eth_chainId") == hex(CHAIN_ID)
