"""Halle's contracts and the test tokens as things to deploy, in the order they must be created."""

from __future__ import annotations

from dataclasses import dataclass

from halle_contracts import (
    SALT,
    SHIPPED,
    CourtArbiter,
    creation_code,
    encode_call,
    encode_constructor,
    predicted_address,
)

TEST_TOKEN = "TestToken"  # noqa: S105 the name of a contract
# Play money in the two shapes real tokens have: few decimals (USDC, EURC) and many (EURe, DAI).
TEST_TOKENS = (("Test Euro", "tEUR", 6), ("Test Euro 18", "tEURe", 18))


@dataclass(frozen=True, slots=True)
class Deployable:
    """One contract and the call that creates it. `decimals` is set for tokens."""

    name: str
    code: bytes
    decimals: int | None = None

    @property
    def address(self) -> bytes:
        return predicted_address(self.name, code=self.code)

    @property
    def deployer_call(self) -> bytes:
        return SALT + self.code


def deployables(*, with_test_tokens: bool) -> list[Deployable]:
    """Return what belongs on a chain, in the order it must be created."""
    contracts = [Deployable(name, creation_code(name)) for name in SHIPPED]
    return contracts + play_money() if with_test_tokens else contracts


def court_arbiter(arbiter: CourtArbiter) -> Deployable:
    """Return the contract that lets a court be the arbiter of orders."""
    return Deployable("ArbiterERC792", arbiter.code)


def play_money() -> list[Deployable]:
    """Return the tokens of chains whose money is worth nothing."""
    return [
        Deployable(symbol, encode_constructor(TEST_TOKEN, name, symbol, decimals), decimals)
        for name, symbol, decimals in TEST_TOKENS
    ]


def mint_call(to: bytes, amount: int) -> bytes:
    """Return the calldata that makes a test token pay `to`."""
    return encode_call(TEST_TOKEN, "mint", to, amount)
