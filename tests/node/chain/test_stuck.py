"""Transactions that nobody mines, that are forgotten, displaced or refused on a real chain: explained, done once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import Connection, select

from contracts.test_deploy import RICH
from halle_contracts import encode_call
from halle_node.chain import ChainClient, Depths, Outbox
from halle_node.chain.transaction import UnsignedTx, sign_transaction
from halle_node.db import Database
from halle_node.db.schema.chain import chain_tx_attempt
from halle_protocol.keys import address_of, keccak256
from node.chain.real import Anvil, anvil_market

PAYER = keccak256(b"payer of stuck transactions")
ME = address_of(PAYER)
PAYEE = b"\x66" * 20


class Stuck:
    """An outbox whose chain makes blocks only when asked."""

    def __init__(self, db: Database, client: ChainClient, chain: Anvil) -> None:
        self.db, self.client, self.chain = db, client, chain
        self.now = int(time.time())
        depths = Depths(safe=2, final=4)
        self.outbox = Outbox(db, client, {ME: PAYER}, clock=lambda: self.now, depths=depths, bump_after_s=30)
        self.token = client.contracts.address_of("tEUR")

    async def call(self, function: str, *args: object) -> int:
        def write(conn: Connection) -> int:
            call = encode_call("TestToken", function, *args)
            return self.outbox.enqueue(conn, signer=ME, to=self.token, data=call, purpose="pay", ref=b"")

        return await self.db.write(write)

    async def mined(self, blocks: int = 1) -> None:
        self.chain.ask("anvil_mine", hex(blocks))
        await self.outbox.step()

    async def later(self, seconds: int) -> None:
        self.now += seconds
        await self.outbox.step()

    def attempts(self) -> list[bytes]:
        wanted = select(chain_tx_attempt.c.raw).order_by(chain_tx_attempt.c.id)
        return list(self.db.read(lambda c: c.execute(wanted).scalars().all()))

    async def paid(self, to: bytes = PAYEE) -> int:
        found: int = await self.client.call("TestToken", "balanceOf", to, at=self.token)
        return found


@pytest.fixture
def chain() -> Iterator[Anvil]:
    with anvil_market(7_010) as found:
        found.ask("anvil_setBalance", "0x" + ME.hex(), hex(10**20))
        found.ask("evm_setAutomine", False)
        yield found


@pytest.fixture
async def stuck(db: Database, chain: Anvil) -> AsyncIterator[Stuck]:
    client = ChainClient(chain.url)
    await client.connect()
    yield Stuck(db, client, chain)
    await client.close()


async def test_stuck_transaction_is_made_dearer_and_says_so(stuck: Stuck) -> None:
    row = await stuck.call("mint", PAYEE, 3)
    await stuck.outbox.step()
    for _ in range(3):
        await stuck.later(31)
    status = stuck.outbox.status(row)
    assert (status.state, status.error_code) == ("sent", "tx-slow")
    assert [each.id for each in stuck.outbox.waiting()] == [row]
    shown = [await stuck.client.transaction(keccak256(raw)) for raw in stuck.attempts()]
    assert len(shown) == 4
    assert shown[:3] == [None] * 3  # the pool keeps the dearest of them only
    newest = shown[3]
    assert newest is not None
    assert int(newest["nonce"], 16) == 0
    assert newest["input"] == "0x" + encode_call("TestToken", "mint", PAYEE, 3).hex()
    await stuck.mined(4)
    await stuck.outbox.step()
    assert (stuck.outbox.status(row).state, stuck.outbox.status(row).error_code) == ("final", None)
    assert stuck.outbox.waiting() == []
    assert await stuck.paid() == 3


async def test_underpriced_transaction_finds_its_fee(stuck: Stuck) -> None:
    """The fee of a block rises far above what was signed for."""
    row = await stuck.call("mint", PAYEE, 3)
    await stuck.outbox.step()
    stuck.chain.ask("anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    await stuck.mined()
    assert await stuck.paid() == 0
    stuck.chain.ask("anvil_setNextBlockBaseFeePerGas", hex(50 * 10**9))
    await stuck.later(31)
    await stuck.mined()
    await stuck.mined(4)
    assert stuck.outbox.status(row).state == "final"
    assert len(stuck.attempts()) == 2
    assert await stuck.paid() == 3


async def test_forgotten_transaction_is_sent_again_as_it_was(stuck: Stuck) -> None:
    row = await stuck.call("mint", PAYEE, 3)
    await stuck.outbox.step()
    tx_hash = stuck.outbox.status(row).tx_hash
    assert tx_hash is not None
    stuck.chain.ask("anvil_dropTransaction", "0x" + tx_hash.hex())
    assert await stuck.client.transaction(tx_hash) is None
    await stuck.outbox.step()
    assert await stuck.client.transaction(tx_hash) is not None
    await stuck.mined()
    await stuck.mined(4)
    assert (stuck.outbox.status(row).state, stuck.outbox.status(row).tx_hash) == ("final", tx_hash)
    assert len(stuck.attempts()) == 1
    assert await stuck.paid() == 3


async def test_displaced_transaction_says_so_and_is_made_anew_once_that_is_final(stuck: Stuck) -> None:
    row = await stuck.call("mint", PAYEE, 3)
    await stuck.outbox.step()
    fees = await stuck.client.fees()
    rival = UnsignedTx(stuck.client.chain_id, 0, PAYEE, b"", 1, 21_000, fees.max_fee * 3, fees.tip * 3)
    await stuck.client.send_raw(sign_transaction(PAYER, rival).raw)
    await stuck.mined()
    status = stuck.outbox.status(row)
    assert (status.state, status.error_code, status.nonce) == ("sent", "nonce-taken", 0)
    assert len(stuck.attempts()) == 1
    await stuck.mined(4)
    await stuck.outbox.step()
    await stuck.mined(1)
    await stuck.mined(4)
    status = stuck.outbox.status(row)
    assert (status.state, status.error_code, status.nonce) == ("final", None, 1)
    assert await stuck.paid() == 3


async def test_refused_transaction_tells_the_contracts_reason(stuck: Stuck) -> None:
    """It can be done when it is signed; somebody else is first in the block, and takes what it needs."""
    rich = bytes.fromhex(RICH[2:])
    await stuck.call("mint", ME, 5)
    await stuck.call("approve", rich, 5)
    await stuck.outbox.step()
    await stuck.mined()
    await stuck.mined(4)
    row = await stuck.call("transfer", PAYEE, 5)
    await stuck.outbox.step()
    call = encode_call("TestToken", "transferFrom", ME, rich, 5)
    first = {"from": RICH, "to": "0x" + stuck.token.hex(), "data": "0x" + call.hex(), "gas": "0x30d40"}
    stuck.chain.ask("eth_sendTransaction", first | {"maxPriorityFeePerGas": hex(10**11), "maxFeePerGas": hex(10**12)})
    await stuck.mined()
    refused = stuck.outbox.status(row)
    assert (refused.state, refused.error_code) == ("mined", "reverted")
    assert "ERC20InsufficientBalance" in str(refused.error_text)
    await stuck.mined(4)
    assert (stuck.outbox.status(row).state, stuck.outbox.status(row).error_code) == ("failed", "reverted")
    assert [each.id for each in stuck.outbox.waiting()] == [row]
    assert await stuck.paid() == 0
