"""Where Halle's contracts are on a chain, and how to put them there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from halle_contracts import DEPLOYER_ADDRESS, DEPLOYMENTS
from halle_node.chain.deployment import TEST_TOKEN, Deployable, deployables, play_money
from halle_node.chain.transaction import UnsignedTx, sign_transaction
from halle_protocol.errors import ConfigError, Refused, Unavailable
from halle_protocol.keys import address_of

if TYPE_CHECKING:
    from halle_node.chain.client import ChainClient

DEPLOY_TIMEOUT_S = 120.0
POLL_S = 0.5


@dataclass(frozen=True)
class Contracts:
    """Addresses on one chain. Shape: tokens by symbol, each (address, decimals)."""

    escrow: bytes
    tracking: bytes
    warranty: bytes
    tokens: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)

    def address_of(self, name: str) -> bytes:
        """Return a contract's address by its Solidity name, or a token's by its symbol."""
        named = self._named().get(name)
        if named is not None:
            return named
        if name in self.tokens:
            return self.tokens[name][0]
        raise ConfigError(f"There is no contract {name!r} on this chain.", code="contracts-missing")

    def name_of(self, address: bytes) -> str | None:
        """Return the Solidity name of the contract at an address, None for a stranger."""
        for name, known in self._named().items():
            if known == address:
                return name
        return TEST_TOKEN if any(address == known for known, _ in self.tokens.values()) else None

    def watched(self) -> dict[bytes, str]:
        """Return the contracts whose events the node follows, by address."""
        return {address: name for name, address in self._named().items()}

    def _named(self) -> dict[str, bytes]:
        return {"Escrow": self.escrow, "DeliveryTracking": self.tracking, "Warranty": self.warranty}


async def discover(client: ChainClient) -> Contracts | None:
    """Return where the contracts are, None when this chain does not have them all."""
    known = DEPLOYMENTS.get(client.chain_id, {})
    wanted = {each.name: each.address for each in await asyncio.to_thread(_halle)} | dict(known)
    codes = await asyncio.gather(*(client.code(address) for address in wanted.values()))
    if not all(codes):
        return None
    return Contracts(
        escrow=wanted["Escrow"],
        tracking=wanted["DeliveryTracking"],
        warranty=wanted["Warranty"],
        tokens=await _find_test_tokens(client),
    )


async def deploy_contracts(
    client: ChainClient, private: bytes, *, with_test_tokens: bool = False, also: Sequence[Deployable] = ()
) -> Contracts:
    """Put on the chain whatever of Halle's contracts it lacks, paid by `private`; return where they are.

    Shape: `also` is deployed after them.
    Raises: ConfigError no-create2-deployer; Refused when the account cannot pay; Unavailable when it takes
    too long.
    """
    if not await client.code(DEPLOYER_ADDRESS):
        raise ConfigError(
            f"Chain {client.chain_id} has no CREATE2 deployer at 0x{DEPLOYER_ADDRESS.hex()}.",
            code="no-create2-deployer",
            hint="Ask its operators for the deterministic deployment proxy.",
        )
    for each in (*deployables(with_test_tokens=with_test_tokens), *also):
        if not await client.code(each.address):
            await _deploy(client, private, each)
    await client.connect()
    return client.contracts


async def _deploy(client: ChainClient, private: bytes, contract: Deployable) -> None:
    sender = address_of(private)
    call = contract.deployer_call
    gas = await client.estimate_gas(sender, DEPLOYER_ADDRESS, call, 0)
    fees = await client.fees()
    tx = UnsignedTx(
        chain_id=client.chain_id,
        nonce=await client.nonce(sender, "pending"),
        to=DEPLOYER_ADDRESS,
        data=call,
        value=0,
        gas=gas * 11 // 10,
        max_fee=fees.max_fee,
        tip=fees.tip,
    )
    tx_hash = await client.send_raw(sign_transaction(private, tx).raw)
    try:
        async with asyncio.timeout(DEPLOY_TIMEOUT_S):
            # The chain tells nobody, it must be asked.
            while (receipt := await client.receipt(tx_hash)) is None:  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        raise Unavailable(
            f"{contract.name} is not in a block after {DEPLOY_TIMEOUT_S:.0f} s.",
            code="deploy-timeout",
            hint="Run the deployment again; it continues where it stopped.",
        ) from error
    if not receipt.succeeded or not await client.code(contract.address):
        raise Refused(f"Deploying {contract.name} failed.", code="reverted", tx_hash=tx_hash.hex())


async def _find_test_tokens(client: ChainClient) -> dict[str, tuple[bytes, int]]:
    tokens = await asyncio.to_thread(_tokens)
    codes = await asyncio.gather(*(client.code(each.address) for each in tokens))
    return {each.name: (each.address, each.decimals or 0) for each, code in zip(tokens, codes, strict=True) if code}


@cache
def _halle() -> tuple[Deployable, ...]:
    return tuple(deployables(with_test_tokens=False))


@cache
def _tokens() -> tuple[Deployable, ...]:
    return tuple(play_money())
