"""What only a development chain can do: give out money and skip time.

Raises: Refused not-a-dev-chain, from every function on any other chain.
"""

from __future__ import annotations

from halle_node.chain import answers
from halle_node.chain.client import ChainClient
from halle_protocol.errors import Refused


def dev_is_embedded(client: ChainClient) -> bool:
    """Return whether the chain is Halle's embedded one."""
    return client.is_embedded


async def dev_faucet(client: ChainClient, address: bytes) -> list[bytes]:
    """Give an account coins for gas and some of each test token; return the transactions."""
    _require_embedded(client)
    hashes = await client.request("halle_faucet", "0x" + address.hex())
    return [answers.data(each, answers.HASH_BYTES) for each in hashes]


async def dev_advance(client: ChainClient, seconds: int) -> int:
    """Let chain time pass and make a block that shows it; return the chain's time."""
    _require_embedded(client)
    await client.request("evm_increaseTime", hex(seconds))
    await client.request("evm_mine")
    return await client.time()


def _require_embedded(client: ChainClient) -> None:
    if not client.is_embedded:
        raise Refused(
            f"Chain {client.chain_id} is not a development chain.",
            code="not-a-dev-chain",
            hint="Its money and its time are real.",
        )
