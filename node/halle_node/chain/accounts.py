"""Whether a contract account signed: ERC-1271 for one that is there, ERC-6492 for one that is not there yet.

Rule: a chain that does not answer says neither yes nor no. What it answers is kept for a while with the block it was
answered at, because accounts can change their keys.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import halle_contracts
from halle_node.chain.client import ChainClient
from halle_protocol.errors import Refused, RemoteProtocolError
from halle_protocol.grant import Grant
from halle_protocol.signing import ChainCheck

KEPT_S = 3_600.0
KEPT_ANSWERS = 4_096
CHECK_GAS = 5_000_000
"""Enough to make an account and ask it; a hostile factory burns no more than this of the endpoint's time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the chain said, and when. Units: `asked` in monotonic seconds."""

    valid: bool
    block: int
    asked: float


class AccountSignatures:
    """Asks the node's own chain, each signature once an hour at most."""

    def __init__(self, client: ChainClient, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._answers: OrderedDict[ChainCheck, Answer] = OrderedDict()

    def known(self, check: ChainCheck) -> Answer | None:
        """Return what the chain said lately, None when it was not asked. For any thread."""
        found = self._answers.get(check)
        return found if found is not None and self._monotonic() - found.asked < KEPT_S else None

    def recalled(self, grant: Grant) -> Grant:
        """Return the grant, confirmed if the chain said so lately. For any thread; asks nobody."""
        known = None if grant.chain_check is None else self.known(grant.chain_check)
        return grant.confirm() if known is not None and known.valid else grant

    async def confirm(self, grant: Grant) -> Grant:
        """Return the grant, confirmed by the chain if a contract account signed it.

        Raises: RemoteProtocolError grant-wrong-signer when the chain denies it; Unavailable rpc-down… when silent.
        """
        if grant.chain_check is None:
            return grant
        answer = await self.ask(grant.chain_check)
        if not answer.valid:
            raise RemoteProtocolError(
                f"The chain did not confirm at block {answer.block} that the store signed the grant.",
                code="grant-wrong-signer",
                hint="The store must sign a new grant, or its account is on another chain than this node's.",
            )
        return grant.confirm()

    async def ask(self, check: ChainCheck) -> Answer:
        """Return what the chain says, from memory if it said so lately.

        Raises: Unavailable rpc-down… while the chain does not answer: then nothing is known.
        """
        known = self.known(check)
        if known is not None:
            return known
        block = await self._client.block_number()
        answer = Answer(await is_signed(self._client, check, at=block), block, self._monotonic())
        self._answers[check] = answer
        while len(self._answers) > KEPT_ANSWERS:
            self._answers.popitem(last=False)
        return answer


async def is_signed(client: ChainClient, check: ChainCheck, *, at: int | str = "latest") -> bool:
    """Return whether the chain confirms a signature, by one call that deploys nothing.

    Raises: Unavailable.
    """
    arguments = (check.signer, check.digest, check.signature)
    code = halle_contracts.encode_constructor("SignatureValidator", *arguments)
    try:
        return await client.call_raw(b"", code, at=at, gas=CHECK_GAS) == b"\x01"
    except Refused:
        return False  # it reverted: malformed, out of gas, or an account that refuses so
