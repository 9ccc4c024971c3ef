"""The validator of signatures, asked as an `eth_call` would ask it: what it would become is its answer."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from eth_abi.abi import encode

from contracts.evm_market import BUYER, MERCHANT, STRANGER, Account, Market, fixture_code, text, word
from halle_contracts import encode_constructor
from halle_protocol.keys import keccak256
from halle_protocol.signing import WRAPPED, sign

DIGEST = keccak256(b"what was signed")
CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


@dataclass
class Chain:
    """A chain with a factory of accounts; MERCHANT's account may be made or not."""

    market: Market
    factory: bytes

    @property
    def words(self) -> bytes:
        return MERCHANT.address.rjust(32, b"\0") + word(1)

    @property
    def create(self) -> bytes:
        return selector("create(address,bytes32)") + self.words

    def account(self) -> bytes:
        call = selector("addressOf(address,bytes32)") + self.words
        return self.market.send(STRANGER.address, self.factory, call).output[12:]

    def make(self) -> None:
        self.market.send(STRANGER.address, self.factory, self.create)

    def wrapped(self, signature: bytes, data: bytes | None = None, factory: bytes | None = None) -> bytes:
        values = (text(factory or self.factory), self.create if data is None else data, signature)
        return encode(["address", "bytes", "bytes"], values) + WRAPPED

    def answers(self, signer: bytes, signature: bytes, digest: bytes = DIGEST) -> bytes | None:
        """Return the one byte of the answer; None when it reverts."""
        evm = self.market.evm
        before = evm.snapshot()
        try:
            made = evm.deploy(
                text(STRANGER.address), encode_constructor("SignatureValidator", signer, digest, signature)
            )
            return bytes(evm.get_code(made))[:1]  # pyrevm appends zeros to every code
        except RuntimeError:
            return None
        finally:
            evm.revert(before)

    def confirms(self, signer: bytes, signature: bytes, digest: bytes = DIGEST) -> bool:
        answer = self.answers(signer, signature, digest)
        assert answer in (b"\0", b"\1")
        return answer == b"\1"


@pytest.fixture
def chain(market: Market) -> Chain:
    return Chain(market, market.deploy(fixture_code("AccountFactory")))


def by(account: Account) -> bytes:
    return sign(account.private, DIGEST)


def test_key_signs_for_itself_plain_or_wrapped(chain: Chain) -> None:
    assert chain.confirms(MERCHANT.address, by(MERCHANT))
    assert chain.confirms(MERCHANT.address, chain.wrapped(by(MERCHANT)))
    assert not chain.confirms(MERCHANT.address, by(BUYER))
    assert not chain.confirms(MERCHANT.address, by(MERCHANT), keccak256(b"else"))
    assert not chain.confirms(MERCHANT.address, chain.wrapped(by(BUYER)))


def test_zero_address_signs_nothing(chain: Chain) -> None:
    """A signature that recovers nothing yields the zero address."""
    for signature in (b"", bytes(65), chain.wrapped(b""), chain.wrapped(bytes(65))):
        assert not chain.confirms(bytes(20), signature)


def test_high_s_twin_is_refused(chain: Chain) -> None:
    sig = by(MERCHANT)
    twin = sig[:32] + word(CURVE - int.from_bytes(sig[32:64], "big")) + bytes([55 - sig[64]])
    assert not chain.confirms(MERCHANT.address, twin)


def test_account_that_is_not_there_yet_is_made_and_asked(chain: Chain) -> None:
    account = chain.account()
    assert chain.confirms(account, chain.wrapped(by(MERCHANT)))
    assert not chain.confirms(account, chain.wrapped(by(BUYER)))
    assert not chain.confirms(account, by(MERCHANT))
    assert not bytes(chain.market.evm.get_code(text(account)) or b"")


def test_account_that_is_there_is_asked_without_its_factory(chain: Chain) -> None:
    chain.make()
    account = chain.account()
    assert chain.confirms(account, by(MERCHANT))
    assert chain.confirms(account, chain.wrapped(by(MERCHANT)))
    assert chain.confirms(account, chain.wrapped(by(MERCHANT), data=b"", factory=b"\1" * 20))
    assert not chain.confirms(account, by(BUYER))


def test_factory_that_fails_or_makes_another_account_confirms_nothing(chain: Chain) -> None:
    account = chain.account()
    for data in (b"", b"\xff" * 4, selector("create(address,bytes32)") + MERCHANT.address.rjust(32, b"\0") + word(2)):
        assert not chain.confirms(account, chain.wrapped(by(MERCHANT), data=data))
    assert not chain.confirms(account, chain.wrapped(by(MERCHANT), factory=b"\1" * 20))


def test_factory_may_be_reached_through_another_contract(chain: Chain) -> None:
    relay = chain.market.deploy(fixture_code("NastyReceiver"))
    head = selector("act(address,uint256,bytes)") + chain.factory.rjust(32, b"\0") + word(0) + word(96)
    act = head + word(len(chain.create)) + chain.create + bytes(-len(chain.create) % 32)
    assert chain.confirms(chain.account(), chain.wrapped(by(MERCHANT), data=act, factory=relay))


@pytest.mark.parametrize("body", [b"", bytes(31), bytes(32), bytes(95), b"\xff" * 96, word(2**255) * 3])
def test_malformed_wrapping_confirms_nothing(chain: Chain, body: bytes) -> None:
    chain.make()
    for signer in (MERCHANT.address, chain.account(), chain.market.escrow):
        assert chain.answers(signer, body + WRAPPED) in (b"\0", None)


def test_signature_a_byte_off_the_magic_word_is_not_unwrapped(chain: Chain) -> None:
    chain.make()
    good = chain.wrapped(by(MERCHANT))
    assert not chain.confirms(chain.account(), good[:-1] + b"\x93")
    assert not chain.confirms(chain.account(), WRAPPED[:31])


def test_magic_word_alone_is_a_wrapping_of_nothing(chain: Chain) -> None:
    assert chain.answers(MERCHANT.address, WRAPPED) is None
