"""Every transaction happens once, whatever is killed, replaced, reverted or unreachable in between."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update

from halle_contracts import encode_call
from halle_node.chain import ChainClient, Depths, EmbeddedChain, Outbox, TxStatus, dev_faucet
from halle_node.chain.outbox_send import Verdict, send_verdict
from halle_node.chain.transaction import UnsignedTx, sign_transaction
from halle_node.db import Database
from halle_node.db.schema.chain import chain_tx, chain_tx_attempt
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.keys import address_of, keccak256
from node.chain import outbox_worker

PAYEE = b"\x51" * 20


class Clock:
    def __init__(self) -> None:
        self.now = int(time.time())

    def __call__(self) -> int:
        return self.now


@pytest.fixture
async def payer(client: ChainClient, request: pytest.FixtureRequest) -> bytes:
    """The private key of a fresh account with money."""
    private = keccak256(request.node.nodeid.encode())
    await dev_faucet(client, address_of(private))
    return private


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(db: Database, client: ChainClient, payer: bytes, clock: Clock) -> Outbox:
    return Outbox(db, client, {address_of(payer): payer}, clock=clock, bump_after_s=30)


@pytest.fixture
async def waiting_chain(client: ChainClient, payer: bytes) -> AsyncIterator[ChainClient]:
    """The chain, making blocks only when asked."""
    await client.request("evm_setAutomine", False)
    yield client
    await client.request("evm_setAutomine", True)
    await client.request("evm_mine")


def mint(conn: Connection, outbox: Outbox, client: ChainClient, payer: bytes, to: bytes, amount: int = 1) -> int:
    return outbox.enqueue(
        conn,
        signer=address_of(payer),
        to=client.contracts.address_of("tEUR"),
        data=encode_call("TestToken", "mint", to, amount),
        purpose="mint",
        ref=b"ref",
    )


async def balance(client: ChainClient, account: bytes) -> int:
    found: int = await client.call("TestToken", "balanceOf", account, at=client.contracts.address_of("tEUR"))
    return found


async def settle(outbox: Outbox) -> None:
    for _ in range(50):
        if not await outbox.step():
            return
    raise AssertionError("the outbox never came to rest")


async def test_transaction_goes_from_queued_to_final(
    db: Database, client: ChainClient, outbox: Outbox, payer: bytes
) -> None:
    states: list[str] = []
    outbox.subscribe(lambda _conn, status: states.append(status.state))
    to = keccak256(payer)[12:]
    row = await db.write(lambda c: mint(c, outbox, client, payer, to))
    assert outbox.status(row).state == "queued"
    await settle(outbox)
    assert states == ["signed", "sent", "final"]
    assert await balance(client, to) == 1
    receipt = await outbox.wait(row, 5)
    assert receipt.succeeded
    assert receipt.tx_hash == outbox.status(row).tx_hash


async def test_run_works_as_rows_come_and_wait_returns_the_receipt(
    db: Database, client: ChainClient, outbox: Outbox, payer: bytes
) -> None:
    running = asyncio.create_task(outbox.run())
    try:
        rows = [await db.write(lambda c: mint(c, outbox, client, payer, PAYEE)) for _ in range(5)]
        receipts = await asyncio.gather(*(outbox.wait(row, 20) for row in rows))
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert all(receipt.succeeded for receipt in receipts)
    assert [outbox.status(row).nonce for row in rows] == [0, 1, 2, 3, 4]


async def test_rolled_back_business_sends_nothing(
    db: Database, client: ChainClient, outbox: Outbox, payer: bytes
) -> None:
    def change_of_mind(connection: Connection) -> None:
        mint(connection, outbox, client, payer, PAYEE)
        raise Refused("no", code="out-of-stock")

    with pytest.raises(Refused):
        await db.write(change_of_mind)
    assert await outbox.step() == 0
    assert await client.nonce(address_of(payer)) == 0


async def test_bytes_are_stored_before_they_are_sent(
    db: Database, client: ChainClient, payer: bytes, clock: Clock, chain_url: str
) -> None:
    """A broadcast whose answer never comes back is repeated with the same bytes, and happens once."""
    to = keccak256(payer)[12:]

    class Deaf(ChainClient):
        async def send_raw(self, raw: bytes) -> bytes:
            await super().send_raw(raw)
            raise Unavailable("the answer got lost", code="rpc-down")

    deaf = Deaf(chain_url)
    await deaf.connect()
    first = Outbox(db, deaf, {address_of(payer): payer}, clock=clock)
    row = await db.write(lambda c: mint(c, first, client, payer, to))
    with pytest.raises(Unavailable):
        await first.step()
    await deaf.close()
    assert first.status(row).state == "signed"
    await settle(Outbox(db, client, {address_of(payer): payer}, clock=clock))
    assert first.status(row).state == "final"
    assert await balance(client, to) == 1
    assert await client.nonce(address_of(payer)) == 1


async def test_call_that_reverts_fails_without_a_nonce(
    db: Database, client: ChainClient, outbox: Outbox, payer: bytes
) -> None:
    call = encode_call("Escrow", "withdraw", PAYEE, PAYEE)
    row = await db.write(
        lambda c: outbox.enqueue(
            c, signer=address_of(payer), to=client.contracts.escrow, data=call, purpose="withdraw", ref=b""
        )
    )
    later = await db.write(lambda c: mint(c, outbox, client, payer, PAYEE))
    await settle(outbox)
    status = outbox.status(row)
    assert (status.state, status.error_code, status.nonce) == ("failed", "reverted", None)
    assert "NothingToWithdraw" in str(status.error_text)
    assert outbox.status(later).state == "final"
    with pytest.raises(Refused) as caught:
        await outbox.wait(row, 1)
    assert caught.value.code == "reverted"


def transfer(conn: Connection, outbox: Outbox, client: ChainClient, payer: bytes, to: bytes, amount: int) -> int:
    return outbox.enqueue(
        conn,
        signer=address_of(payer),
        to=client.contracts.address_of("tEUR"),
        data=encode_call("TestToken", "transfer", to, amount),
        purpose="transfer",
        ref=b"",
    )


async def test_call_that_needs_an_earlier_one_waits_for_it(
    db: Database, waiting_chain: ChainClient, outbox: Outbox, payer: bytes
) -> None:
    client, to = waiting_chain, keccak256(payer)[12:]
    await db.write(lambda c: mint(c, outbox, client, payer, address_of(payer), 10**30))
    second = await db.write(lambda c: transfer(c, outbox, client, payer, to, 10**30))
    await outbox.step()
    assert outbox.status(second).state == "queued"
    await client.request("evm_mine")
    await outbox.step()
    await client.request("evm_mine")
    await settle(outbox)
    assert outbox.status(second).state == "final"
    assert await balance(client, to) == 10**30


async def test_transaction_that_reverts_on_chain_fails_with_its_reason(
    db: Database, waiting_chain: ChainClient, outbox: Outbox, payer: bytes
) -> None:
    """Both look possible when signed; the first leaves nothing for the second."""
    client = waiting_chain
    everything = await balance(client, address_of(payer))
    rows = [
        await db.write(lambda c, to=to: transfer(c, outbox, client, payer, to, everything))
        for to in (b"\x61" * 20, b"\x62" * 20)
    ]
    await outbox.step()
    await client.request("evm_mine")
    await settle(outbox)
    assert [outbox.status(row).state for row in rows] == ["final", "failed"]
    assert "ERC20InsufficientBalance" in str(outbox.status(rows[1]).error_text)
    assert outbox.status(rows[1]).nonce == 1


async def test_stuck_transaction_is_sent_again_dearer_with_its_nonce(
    db: Database, waiting_chain: ChainClient, outbox: Outbox, payer: bytes, clock: Clock
) -> None:
    client, to = waiting_chain, keccak256(payer)[12:]
    row = await db.write(lambda c: mint(c, outbox, client, payer, to))
    await outbox.step()
    await outbox.step()
    clock.now += 31
    await outbox.step()
    attempts = db.read(lambda c: c.execute(select(chain_tx_attempt).order_by(chain_tx_attempt.c.id)).all())
    assert len(attempts) == 2
    assert int(attempts[1].max_fee) > int(attempts[0].max_fee) * 1.1
    assert outbox.status(row).tx_hash == attempts[1].tx_hash
    await client.request("evm_mine")
    await settle(outbox)
    assert outbox.status(row).state == "final"
    assert outbox.status(row).nonce == 0
    assert await balance(client, to) == 1


async def test_earlier_attempt_that_is_mined_after_all_counts(
    db: Database, waiting_chain: ChainClient, outbox: Outbox, payer: bytes, clock: Clock
) -> None:
    client, to = waiting_chain, keccak256(payer)[12:]
    row = await db.write(lambda c: mint(c, outbox, client, payer, to))
    await outbox.step()
    await client.request("evm_mine")
    first = outbox.status(row).tx_hash
    # The node believes it was stuck, and signs a dearer one just when the first is mined.
    await outbox._bump(await db.write(lambda c: c.execute(select(chain_tx)).one()))
    await settle(outbox)
    assert outbox.status(row).tx_hash == first
    assert await balance(client, to) == 1


async def test_nonce_used_by_another_wallet_is_given_up_and_the_work_still_done(
    db: Database, waiting_chain: ChainClient, outbox: Outbox, payer: bytes
) -> None:
    client, to = waiting_chain, keccak256(payer)[12:]
    row = await db.write(lambda c: mint(c, outbox, client, payer, to))
    await outbox.step()
    fees = await client.fees()
    rival = UnsignedTx(client.chain_id, 0, PAYEE, b"", 1, 21_000, fees.max_fee * 3, fees.tip * 3)
    await client.send_raw(sign_transaction(payer, rival).raw)
    await client.request("evm_mine")
    for _ in range(5):
        await outbox.step()
        await client.request("evm_mine")
    await settle(outbox)
    assert outbox.status(row).state == "final"
    assert outbox.status(row).nonce == 1
    assert await balance(client, to) == 1


async def test_mined_is_not_final_until_deep_enough(
    db: Database, client: ChainClient, payer: bytes, clock: Clock
) -> None:
    outbox = Outbox(db, client, {address_of(payer): payer}, clock=clock, depths=Depths(safe=2, final=4))
    row = await db.write(lambda c: mint(c, outbox, client, payer, PAYEE))
    states = []
    for _ in range(5):
        await outbox.step()
        states.append(outbox.status(row).state)
        await client.request("evm_mine")
    assert states == ["sent", "mined", "mined", "final", "final"]


async def test_locked_keys_and_empty_accounts_make_rows_wait(
    db: Database, client: ChainClient, payer: bytes, clock: Clock
) -> None:
    locked = [True]
    poor = keccak256(payer)

    def key_of(address: bytes) -> bytes:
        if locked[0]:
            raise Refused("The keys are locked.", code="keys-locked")
        return {address_of(payer): payer, address_of(poor): poor}[address]

    outbox = Outbox(db, client, key_of, clock=clock)
    row = await db.write(lambda c: mint(c, outbox, client, payer, PAYEE))
    poor_row = await db.write(lambda c: mint(c, outbox, client, poor, PAYEE))
    await outbox.step()
    assert (outbox.status(row).state, outbox.status(row).error_code) == ("queued", "keys-locked")
    locked[0] = False
    for _ in range(3):
        await outbox.step()
    assert outbox.status(row).state == "final"
    assert outbox.status(poor_row).error_code == "insufficient-funds"
    await dev_faucet(client, address_of(poor))
    await settle(outbox)
    assert outbox.status(poor_row).state == "final"


async def test_wait_says_what_it_waits_for(
    db: Database, waiting_chain: ChainClient, outbox: Outbox, payer: bytes
) -> None:
    row = await db.write(lambda c: mint(c, outbox, waiting_chain, payer, PAYEE))
    await outbox.step()
    with pytest.raises(Unavailable) as caught:
        await outbox.wait(row, 0.05)
    assert caught.value.code == "tx-timeout"
    with pytest.raises(Refused) as unknown:
        outbox.status(999)
    assert unknown.value.code == "tx-unknown"


async def test_two_rows_can_never_share_a_nonce(
    db: Database, client: ChainClient, outbox: Outbox, payer: bytes
) -> None:
    rows = [await db.write(lambda c: mint(c, outbox, client, payer, PAYEE)) for _ in range(2)]
    await settle(outbox)
    with pytest.raises(Exception, match="UNIQUE"):
        await db.write(lambda c: c.execute(update(chain_tx).where(chain_tx.c.id == rows[1]).values(nonce=0)))


async def test_run_survives_a_chain_that_dies_and_comes_back(
    db: Database, tmp_path: Path, payer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    chain = EmbeddedChain(tmp_path / "chain")
    url = await chain.start()
    client = ChainClient(url)
    await client.connect()
    await dev_faucet(client, address_of(payer))
    outbox = Outbox(db, client, {address_of(payer): payer}, clock=lambda: int(time.time()))
    running = asyncio.create_task(outbox.run())
    try:
        await chain.kill()
        row = await db.write(lambda c: mint(c, outbox, client, payer, PAYEE))
        with pytest.raises(Unavailable):
            await outbox.wait(row, 0.5)
        again = EmbeddedChain(tmp_path / "chain", urlsplit(url).port or 0)
        await again.start()
        assert (await outbox.wait(row, 30)).succeeded
        assert await balance(client, PAYEE) == 1
    finally:
        running.cancel()
        await asyncio.wait([running])
        await client.close()
        await again.stop()
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


PAYMENTS = 60
KILLS = 6


async def test_killed_workers_pay_everybody_once(tmp_path: Path) -> None:
    """kill -9 of the node at random moments, and of the chain between: nothing doubled, nothing missing."""
    chance = random.Random(20261122)
    chain = EmbeddedChain(tmp_path / "chain")
    url = await chain.start()
    client = ChainClient(url)
    await client.connect()
    for account in outbox_worker.SIGNERS:
        await dev_faucet(client, account)
    for kill in range(KILLS):
        await asyncio.to_thread(_work, tmp_path / "node.db", url, 1 + chance.randrange(4), chance.random() / 20)
        if kill == KILLS // 2:
            await chain.kill()
            chain = EmbeddedChain(tmp_path / "chain", urlsplit(url).port or 0)
            await chain.start()
    assert await asyncio.to_thread(_work, tmp_path / "node.db", url, None, 0.0) == "done"
    paid = [await balance(client, outbox_worker.payee(number)) for number in range(PAYMENTS)]
    used = [await client.nonce(account) for account in outbox_worker.SIGNERS]
    await client.close()
    await chain.stop()
    assert paid == [1] * PAYMENTS
    assert sum(used) == PAYMENTS


def _work(database: Path, url: str, payments: int | None, extra_s: float) -> str:
    """Run a worker; kill it a moment after some payments, or let it finish."""
    command = [sys.executable, outbox_worker.__file__, str(database), url, str(PAYMENTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        said = ""
        for seen, said in enumerate(worker.stdout, 1):  # noqa: B007 the last one is the answer
            if seen == payments:
                break
        if payments is not None:
            try:
                worker.wait(extra_s)
            except subprocess.TimeoutExpired:
                worker.kill()
        worker.stdout.read()
        return said.strip()


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("already known", Verdict.KNOWN),
        ("AlreadyKnown", Verdict.KNOWN),
        ("transaction already imported", Verdict.KNOWN),
        ("nonce too low: next nonce 5, tx nonce 3", Verdict.NONCE_USED),
        ("replacement transaction underpriced", Verdict.UNDERPRICED),
        ("max fee per gas less than block base fee: address 0x, maxFeePerGas: 1", Verdict.UNDERPRICED),
        ("insufficient funds for gas * price + value", Verdict.NO_FUNDS),
        ("something new", Verdict.OTHER),
    ],
)
def test_answers_to_a_broadcast_are_understood(text: str, verdict: Verdict) -> None:
    assert send_verdict(text) is verdict


@given(st.text(max_size=200))
def test_any_answer_to_a_broadcast_gets_a_verdict(text: str) -> None:
    assert isinstance(send_verdict(text), Verdict)


def test_status_is_a_plain_value() -> None:
    assert TxStatus(1, "queued", "p", b"", b"", None, None, None, None, None).facts == {}
