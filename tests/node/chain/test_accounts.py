"""Signatures of contract accounts, judged by a chain: there already, not there yet, and not signed at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import rlp
from eth_abi.abi import encode

import halle_contracts
from contracts.evm_market import fixture_code
from contracts.test_deploy import RICH_KEY, anvil
from halle_node.chain import ChainClient
from halle_node.chain.accounts import AccountSignatures, is_signed
from halle_node.chain.embedded.genesis import FAUCET_KEY
from halle_node.chain.transaction import UnsignedTx, sign_transaction
from halle_node.messages import MessageService
from halle_node.p2p.types import Verdict
from halle_protocol.errors import RemoteProtocolError, Unavailable
from halle_protocol.grant import Grant
from halle_protocol.keys import address_of, keccak256
from halle_protocol.messages import sign_message
from halle_protocol.sealing import seal_envelope
from halle_protocol.signing import WRAPPED, ChainCheck, sign
from node.index.hall import DAY, NOW, Hall, Merchant, open_listener
from node.messages.conftest import Store, Wire, clock, make_store, wire  # noqa: F401 - three of them are fixtures

OWNER_KEY, OTHER_KEY = b"\x31" * 32, b"\x32" * 32
OWNER = address_of(OWNER_KEY)
DIGEST = keccak256(b"what was signed")


def selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


async def send(client: ChainClient, to: bytes, data: bytes, key: bytes = FAUCET_KEY) -> None:
    sender, fees = address_of(key), await client.fees()
    nonce = await client.nonce(sender, "pending")
    tx = UnsignedTx(client.chain_id, nonce, to, data, 0, 3_000_000, fees.max_fee, fees.tip)
    tx_hash = await client.send_raw(sign_transaction(key, tx).raw)
    async with asyncio.timeout(30):
        while (receipt := await client.receipt(tx_hash)) is None:
            await asyncio.sleep(0.05)
    assert receipt.succeeded


class Factory:
    """A factory on the chain, and what it would make for a salt."""

    def __init__(self, client: ChainClient, address: bytes, salt: int) -> None:
        self.client, self.address = client, address
        words = OWNER.rjust(32, b"\0") + salt.to_bytes(32, "big")
        self.create = selector("create(address,bytes32)") + words
        self._address_of = selector("addressOf(address,bytes32)") + words

    async def account(self) -> bytes:
        return (await self.client.call_raw(self.address, self._address_of))[12:]

    def wrapped(self, signature: bytes, *, calldata: bytes | None = None) -> bytes:
        data = self.create if calldata is None else calldata
        return encode(["address", "bytes", "bytes"], ["0x" + self.address.hex(), data, signature]) + WRAPPED

    async def check(self, key: bytes = OWNER_KEY) -> ChainCheck:
        """What an account that is not there yet signs with a key."""
        return ChainCheck(await self.account(), DIGEST, self.wrapped(sign(key, DIGEST)))


@pytest.fixture
async def factory(client: ChainClient) -> Factory:
    """A factory for each test; each test has an account of its own."""
    sender = address_of(FAUCET_KEY)
    nonce = await client.nonce(sender, "pending")
    await send(client, b"", fixture_code("AccountFactory"))
    return Factory(client, created_by(sender, nonce), 1)


def created_by(sender: bytes, nonce: int) -> bytes:
    """Return the address of the contract that an account's transaction creates."""
    return keccak256(rlp.encode([sender, nonce]))[12:]


async def test_account_that_is_not_there_yet_has_signed(client: ChainClient, factory: Factory) -> None:
    check = await factory.check()
    assert await client.code(check.signer) == b""
    assert await is_signed(client, check)
    assert await client.code(check.signer) == b""  # asking made nothing


@pytest.mark.parametrize("wrong", ["key", "digest", "account", "calldata", "factory"])
async def test_signature_of_an_account_not_there_is_refused(client: ChainClient, factory: Factory, wrong: str) -> None:
    good = await factory.check()
    signature = sign(OWNER_KEY, DIGEST)
    spoiled = {
        "key": await factory.check(OTHER_KEY),
        "digest": replace(good, digest=keccak256(b"something else")),
        "account": replace(good, signer=b"\x77" * 20),
        "calldata": replace(good, signature=factory.wrapped(signature, calldata=b"")),
        "factory": replace(good, signature=good.signature.replace(factory.address, bytes(20))),
    }
    assert not await is_signed(client, spoiled[wrong])


async def test_account_that_is_there_has_signed_wrapped_or_plain(client: ChainClient, factory: Factory) -> None:
    await send(client, factory.address, factory.create)
    good = await factory.check()
    assert await client.code(good.signer)
    assert await is_signed(client, good)
    assert await is_signed(client, replace(good, signature=sign(OWNER_KEY, DIGEST)))
    assert not await is_signed(client, replace(good, signature=sign(OTHER_KEY, DIGEST)))
    assert not await is_signed(client, await factory.check(OTHER_KEY))


async def test_key_signs_for_itself_wrapped_or_plain(client: ChainClient, factory: Factory) -> None:
    signature = sign(OWNER_KEY, DIGEST)
    assert await is_signed(client, ChainCheck(OWNER, DIGEST, signature))
    assert await is_signed(client, ChainCheck(OWNER, DIGEST, factory.wrapped(signature)))
    high_s = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - int.from_bytes(
        signature[32:64], "big"
    )
    twin = signature[:32] + high_s.to_bytes(32, "big") + bytes([55 - signature[64]])
    assert not await is_signed(client, ChainCheck(OWNER, DIGEST, twin))


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(65),
        bytes(66),
        WRAPPED,
        bytes(32) + WRAPPED,
        b"\xff" * 96 + WRAPPED,
        (2**255).to_bytes(32, "big") * 3 + WRAPPED,
    ],
)
async def test_malformed_signatures_are_refused(client: ChainClient, signature: bytes) -> None:
    for signer in (OWNER, bytes(20), client.contracts.escrow):
        assert not await is_signed(client, ChainCheck(signer, DIGEST, signature))


async def test_answer_is_kept_with_its_block_and_asked_again_later(client: ChainClient, factory: Factory) -> None:
    now = 0.0
    accounts = AccountSignatures(client, lambda: now)
    check = await factory.check()
    early = replace(check, signature=sign(OWNER_KEY, DIGEST) + b"\0")
    assert accounts.known(check) is None
    answer = await accounts.ask(check)
    assert (answer.valid, accounts.known(check)) == (True, answer)
    assert answer.block <= await client.block_number()
    assert not (await accounts.ask(early)).valid
    now = 3_600.0
    assert accounts.known(check) is None


async def test_chain_that_does_not_answer_says_nothing() -> None:
    client = ChainClient("http://127.0.0.1:9", timeout_s=2)
    accounts = AccountSignatures(client)
    check = ChainCheck(OWNER, DIGEST, bytes(66))
    with pytest.raises(Unavailable):
        await accounts.ask(check)
    assert accounts.known(check) is None
    await client.close()


# ── a store that is a contract account, seen by another node ────────────────────────────────────────────────────


@dataclass
class ContractMerchant(Merchant):
    """A store without a key: its grant is signed by whoever the account obeys."""

    account: bytes = b""
    factory: Factory | None = None
    grant_key: bytes = OWNER_KEY

    def __post_init__(self) -> None:
        super().__post_init__()
        self.store = self.account

    @property
    def grant(self) -> Grant:
        assert self.factory is not None
        operator = address_of(self.operator_key)
        bare = Grant(self.store, operator, "peer", ("publish",), NOW - DAY, NOW + 365 * DAY, self.grant_sequence)
        return replace(bare, sig=self.factory.wrapped(sign(self.grant_key, bare.digest())))


@pytest.fixture
async def shop(factory: Factory) -> ContractMerchant:
    merchant = ContractMerchant(7, account=await factory.account(), factory=factory)
    merchant.introduce("Contract shop")
    merchant.list("chair", "Chaise")
    return merchant


def hall_of(merchant: Merchant) -> Hall:
    return Hall({"seven": merchant})


async def test_store_that_is_a_contract_is_admitted_when_the_chain_confirms_it(
    tmp_path: Path, client: ChainClient, shop: ContractMerchant
) -> None:
    hall, frame = hall_of(shop), shop.frame()
    async with open_listener(tmp_path, hall, grant_judge=AccountSignatures(client)) as listener:
        assert await listener.index.ingest_head(frame, "seven")
        assert listener.index.listing(shop.store, "chair")
        assert listener.index.validate(shop.frame(), "seven") is Verdict.ACCEPT
    async with open_listener(tmp_path, hall) as again:  # what was admitted stays, also without a chain
        assert again.index.listing(shop.store, "chair")
        assert again.index.validate(frame, "seven") is Verdict.IGNORE


async def test_store_that_is_a_contract_is_refused_when_the_chain_denies_it(
    tmp_path: Path, client: ChainClient, shop: ContractMerchant
) -> None:
    shop.grant_key = OTHER_KEY
    async with open_listener(tmp_path, hall_of(shop), grant_judge=AccountSignatures(client)) as listener:
        with pytest.raises(RemoteProtocolError) as caught:
            await listener.index.ingest_head(shop.frame(), "seven")
        assert caught.value.code == "grant-wrong-signer"
        assert listener.index.listing(shop.store, "chair") is None


async def test_store_that_is_a_contract_is_unknown_without_a_chain(tmp_path: Path, shop: ContractMerchant) -> None:
    frame = shop.frame()
    async with open_listener(tmp_path, hall_of(shop)) as listener:
        assert listener.index.validate(frame, "seven") is Verdict.IGNORE
        with pytest.raises(RemoteProtocolError) as caught:
            await listener.index.ingest_head(frame, "seven")
        assert caught.value.code == "needs-chain"


async def test_gossiped_head_of_a_contract_is_taken_once_the_chain_was_asked(
    tmp_path: Path, client: ChainClient, shop: ContractMerchant
) -> None:
    frame, ready = shop.frame(), asyncio.Event()
    async with open_listener(tmp_path, hall_of(shop), grant_judge=AccountSignatures(client)) as listener:
        listener.index.subscribe(lambda _: ready.set())
        running = asyncio.create_task(listener.index.run())
        assert listener.index.validate(frame, "seven") is Verdict.IGNORE  # not passed on before it is known
        async with asyncio.timeout(60):
            await ready.wait()
        assert listener.index.listing(shop.store, "chair")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_head_of_a_contract_waits_while_the_chain_is_silent(tmp_path: Path, shop: ContractMerchant) -> None:
    silent = ChainClient("http://127.0.0.1:9", timeout_s=2)
    async with open_listener(tmp_path, hall_of(shop), grant_judge=AccountSignatures(silent)) as listener:
        with pytest.raises(Unavailable):
            await listener.index.ingest_head(shop.frame(), "seven")
        await listener.index.on_head(shop.frame(), "seven")  # says nothing, forgets nothing
        assert listener.index.listing(shop.store, "chair") is None
    await silent.close()


async def test_anvil_says_the_same() -> None:
    """The embedded chain is ours; this one is not."""
    with anvil(4_004) as url:
        client = ChainClient(url)
        await client.connect()
        code = halle_contracts.encode_constructor("SignatureValidator", OWNER, DIGEST, sign(OWNER_KEY, DIGEST))
        assert await client.call_raw(b"", code) == b"\x01"
        assert not await is_signed(client, ChainCheck(OWNER, DIGEST, sign(OTHER_KEY, DIGEST)))
        await _create_on(client)
        await client.close()


async def _create_on(client: ChainClient) -> None:
    rich = bytes.fromhex(RICH_KEY)
    await send(client, b"", fixture_code("AccountFactory"), key=rich)
    factory = Factory(client, created_by(address_of(rich), 0), 1)
    good = await factory.check()
    assert await is_signed(client, good)
    assert not await is_signed(client, await factory.check(OTHER_KEY))
    await send(client, factory.address, factory.create, key=rich)
    assert await is_signed(client, replace(good, signature=sign(OWNER_KEY, DIGEST)))


# ── and its messages ────────────────────────────────────────────────────────────────────────────────────────────


async def test_message_of_a_contract_store_is_read_once_the_chain_confirmed_its_grant(
    client: ChainClient,
    factory: Factory,
    make_store: Callable[[str], Store],  # noqa: F811
    wire: Wire,  # noqa: F811
) -> None:
    reader = make_store("reader")
    accounts = AccountSignatures(client)
    asking = MessageService(reader.db, reader.keys, wire, lambda: NOW, confirm_grant=accounts.confirm)
    asking.register("chat", lambda conn, message: reader.seen.append(message.body["text"]))
    for number, key in enumerate((OWNER_KEY, OTHER_KEY)):
        envelope = await _envelope(factory, reader, number, key)
        with pytest.raises(RemoteProtocolError) as caught:
            await reader.service.receive(envelope)  # it has no chain to ask
        assert caught.value.code == "needs-chain"
        if key == OWNER_KEY:
            await asking.receive(envelope)
            continue
        with pytest.raises(RemoteProtocolError) as caught:
            await asking.receive(envelope)
        assert caught.value.code == "grant-wrong-signer"
    assert reader.seen == ["bonjour"]


async def _envelope(factory: Factory, reader: Store, number: int, grant_key: bytes) -> bytes:
    operator_key, store = b"\x41" * 32, await factory.account()
    times = (NOW - DAY, NOW + DAY)
    bare = Grant(store, address_of(operator_key), "peer", ("message",), *times, 1)
    grant = replace(bare, sig=factory.wrapped(sign(grant_key, bare.digest())))
    message = sign_message(
        operator_key,
        id=number.to_bytes(16, "big"),
        thread=bytes(32),
        type="chat",
        sender=store,
        to=reader.keys.store_address,
        issued=NOW,
        body={"text": "bonjour"},
        grant=grant,
    )
    return seal_envelope(message.encode(), reader.keys.store_address, reader.prekey()).encode()
