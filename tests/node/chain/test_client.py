"""What the node believes of a chain's answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from halle_node.chain import ChainClient, deploy_contracts, dev_advance, dev_faucet
from halle_node.chain.embedded import CHAIN_ID
from halle_node.chain.embedded.genesis import FAUCET_KEY
from halle_node.chain.rpc import RpcError
from halle_protocol.errors import ConfigError, HalleError, Refused, Unavailable
from node.chain.scripted import ScriptedChain

SUBJECT = b"\x11" * 32


@pytest.fixture
async def told(scripted: ScriptedChain) -> AsyncIterator[ChainClient]:
    scripted.grow((SUBJECT,))
    found = ChainClient(scripted.url, timeout_s=5)
    await found.connect()
    yield found
    await found.close()


async def test_client_finds_the_contracts_of_the_embedded_chain(client: ChainClient) -> None:
    assert client.chain_id == CHAIN_ID
    assert client.is_embedded
    contracts = client.contracts
    assert await client.code(contracts.escrow)
    assert {symbol: decimals for symbol, (_, decimals) in contracts.tokens.items()} == {"tEUR": 6, "tEURe": 18}
    for symbol, (address, decimals) in contracts.tokens.items():
        assert await client.call("TestToken", "decimals", at=address) == decimals
        assert contracts.address_of(symbol) == address


async def test_faucet_gives_coins_and_both_tokens(client: ChainClient) -> None:
    account = b"\x21" * 20
    for tx_hash in await dev_faucet(client, account):
        receipt = await client.receipt(tx_hash)
        assert receipt is not None
        assert receipt.succeeded
    assert await client.balance(account) == 10**19
    for address, decimals in client.contracts.tokens.values():
        assert await client.call("TestToken", "balanceOf", account, at=address) == 10_000 * 10**decimals


async def test_advance_moves_the_chains_time(client: ChainClient) -> None:
    before = await client.time()
    assert await dev_advance(client, 86_400) >= before + 86_400
    assert (await client.head()).timestamp >= before + 86_400


async def test_call_names_the_contracts_own_error(client: ChainClient) -> None:
    with pytest.raises(Refused) as caught:
        await client.call("Escrow", "withdraw", b"\x01" * 20, b"\x01" * 20)
    assert caught.value.code == "reverted"
    assert caught.value.facts["reason"] == "NothingToWithdraw"
    assert caught.value.facts["cause"] == "nothing-to-withdraw"
    assert "no credit" in caught.value.hint


async def test_unknown_transaction_has_no_receipt(client: ChainClient) -> None:
    assert await client.receipt(b"\x77" * 32) is None
    assert await client.transaction(b"\x77" * 32) is None


async def test_endpoint_error_keeps_the_chains_words(client: ChainClient) -> None:
    with pytest.raises(RpcError) as caught:
        await client.request("eth_noSuchThing")
    assert "does not exist" in caught.value.text


async def test_deploy_does_nothing_when_all_is_there(client: ChainClient) -> None:
    before = await client.block_number()
    assert await deploy_contracts(client, FAUCET_KEY, with_test_tokens=True) == client.contracts
    assert await client.block_number() == before


async def test_connect_refuses_the_wrong_chain(chain_url: str) -> None:
    wrong = ChainClient(chain_url, expected_chain_id=1)
    with pytest.raises(ConfigError) as caught:
        await wrong.connect()
    await wrong.close()
    assert caught.value.code == "wrong-chain"


async def test_connect_refuses_an_endpoint_that_changed_its_chain(told: ChainClient, scripted: ScriptedChain) -> None:
    scripted.chain_id = 1
    with pytest.raises(ConfigError) as caught:
        await told.connect()
    assert caught.value.code == "wrong-chain"


async def test_client_refuses_other_addresses() -> None:
    with pytest.raises(ConfigError) as caught:
        ChainClient("localhost:8545")
    assert caught.value.code == "rpc-url"


async def test_client_without_contracts_says_so(scripted: ScriptedChain) -> None:
    scripted.overrides["eth_getCode"] = lambda _: "0x"
    bare = ChainClient(scripted.url)
    with pytest.raises(Unavailable) as early:
        _ = bare.chain_id
    await bare.connect()
    with pytest.raises(ConfigError) as caught:
        _ = bare.contracts
    await bare.close()
    assert (early.value.code, caught.value.code) == ("rpc-down", "contracts-missing")


async def test_chain_that_falls_silent_while_it_introduces_itself_has_not_answered(scripted: ScriptedChain) -> None:
    def silent(_: list[Any]) -> Any:
        raise web.HTTPServiceUnavailable

    scripted.overrides["eth_getCode"] = silent
    half = ChainClient(scripted.url)
    with pytest.raises(Unavailable):
        await half.connect()
    assert not half.is_connected
    with pytest.raises(Unavailable):
        _ = half.contracts
    del scripted.overrides["eth_getCode"]
    await half.connect()
    assert half.is_connected
    await half.close()


async def test_dev_helpers_refuse_a_real_chain(told: ChainClient) -> None:
    for attempt in (dev_faucet(told, b"\x01" * 20), dev_advance(told, 1)):
        with pytest.raises(Refused) as caught:
            await attempt
        assert caught.value.code == "not-a-dev-chain"


async def test_down_endpoint_is_named_and_comes_back(told: ChainClient, scripted: ScriptedChain) -> None:
    await scripted.stop()
    with pytest.raises(Unavailable) as caught:
        await told.block_number()
    assert caught.value.code == "rpc-down"
    await scripted.start()
    assert await told.block_number() == 1


async def test_silent_endpoint_times_out(scripted: ScriptedChain) -> None:
    impatient = ChainClient(scripted.url, timeout_s=0.2)
    scripted.silent = True
    with pytest.raises(Unavailable) as caught:
        await impatient.connect()
    await impatient.close()
    assert caught.value.code == "rpc-down"


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"[]", b"7", b"{}", b'{"error": 5}', b'{"error": {"code": 1}}', b'{"result": "0xzz"}', b"\xff"],
)
async def test_malformed_answers_are_named(told: ChainClient, scripted: ScriptedChain, body: bytes) -> None:
    scripted.garbage = body
    with pytest.raises(Unavailable) as caught:
        await told.block_number()
    assert caught.value.code == "rpc-bad-answer"


@pytest.mark.parametrize("answer", [None, 5, "0x", [], {"number": "0x1"}, {"number": "0x1", "hash": "0x11"}])
async def test_malformed_blocks_are_named(told: ChainClient, scripted: ScriptedChain, answer: object) -> None:
    scripted.overrides["eth_getBlockByNumber"] = lambda _: answer
    with pytest.raises(Unavailable) as caught:
        await told.head()
    assert caught.value.code == "rpc-bad-answer"


async def test_honest_receipt_is_believed(told: ChainClient, scripted: ScriptedChain) -> None:
    receipt = await told.receipt(scripted.blocks[1].tx_hash(0))
    assert receipt is not None
    assert receipt.succeeded
    assert receipt.logs[0].topics[1] == SUBJECT


LIES: list[dict[str, Any]] = [
    {"transactionHash": "0x" + "aa" * 32},
    {"blockHash": "0x" + "aa" * 32},
    {"blockNumber": "0x0"},
    {"blockNumber": "0x9"},
    {"logs": [{"transactionHash": "0x" + "aa" * 32}]},
    {"logs": [{"blockHash": "0x" + "aa" * 32}]},
    {"logs": [{"blockNumber": "0x0"}]},
]


@pytest.mark.parametrize("lie", LIES)
async def test_lying_receipt_is_not_believed(told: ChainClient, scripted: ScriptedChain, lie: dict[str, Any]) -> None:
    block = scripted.blocks[1]
    honest = scripted.receipt_json(block, 0)
    told_lie = {**honest, **lie}
    if "logs" in lie:
        told_lie["logs"] = [{**honest["logs"][0], **lie["logs"][0]}]
    scripted.overrides["eth_getTransactionReceipt"] = lambda _: told_lie
    with pytest.raises(Unavailable) as caught:
        await told.receipt(block.tx_hash(0))
    assert caught.value.code == "rpc-inconsistent"


async def test_receipt_of_a_transaction_the_block_lacks_is_not_believed(
    told: ChainClient, scripted: ScriptedChain
) -> None:
    block = scripted.blocks[1]
    scripted.overrides["eth_getBlockByNumber"] = lambda _: {**scripted.block_json(block), "transactions": []}
    with pytest.raises(Unavailable) as caught:
        await told.receipt(block.tx_hash(0))
    assert caught.value.code == "rpc-inconsistent"


async def test_another_transaction_is_not_believed(told: ChainClient, scripted: ScriptedChain) -> None:
    scripted.overrides["eth_getTransactionByHash"] = lambda _: {"hash": "0x" + "bb" * 32}
    with pytest.raises(Unavailable) as caught:
        await told.transaction(b"\xaa" * 32)
    assert caught.value.code == "rpc-inconsistent"


async def test_logs_nobody_asked_for_are_not_believed(told: ChainClient, scripted: ScriptedChain) -> None:
    stray = {**scripted.log_json(scripted.blocks[1], 0), "address": "0x" + "cc" * 20}
    scripted.overrides["eth_getLogs"] = lambda _: [stray]
    with pytest.raises(HalleError) as caught:
        await told.logs([told.contracts.escrow], 0, 1)
    assert caught.value.code == "rpc-inconsistent"
