"""Let the node's operator key, and no earlier one, act for the store on chain, as the grants say off chain.

Rule: only those who were named before ours are dismissed, so that a lost machine which turns up again dismisses nobody.
"""

from __future__ import annotations

from sqlalchemy import Connection, or_, select

import halle_contracts
from halle_node.db.schema.chain import chain_tx
from halle_node.trade.chainwork import MOVING_STATES, earlier_operators, operator_until
from halle_node.trade.room import Room
from halle_protocol.signing import sign
from halle_protocol.terms import set_operator_digest

REGISTER, DISMISS = "register-operator", "dismiss-operator"
SIGNATURE_VALID_S = 86_400
RETRY_AFTER_S = 60
RENEW_BEFORE_S = 30 * 86_400


class Operator:
    """The operator's mandate on chain."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._done = False

    async def is_registered(self) -> bool:
        """Say whether the chain will let the operator act for a while yet."""
        room = self._room
        until = int(await room.chain.client.call("Escrow", "operatorUntil", room.me, room.keys.operator_address))
        return until > await room.ask_chain_time() + RENEW_BEFORE_S

    async def ensure(self) -> None:
        """Register once this store sells something and its key is awake; on a test chain the gas is given."""
        room, operator = self._room, self._room.keys.operator_address
        view = room.index.store(room.me)
        if self._done or room.keys.locked or view is None or not view.listing_count:
            return
        if await self.is_registered():
            await self._dismiss_earlier()
            return
        if not await room.chain.client.balance(operator):
            if room.chain.client.is_embedded:
                await room.chain.dev_faucet(operator)
            return
        await self.register()

    async def register(self) -> None:
        """Sign the mandate with the store key and let the operator carry it to the chain."""
        room = self._room
        if await self.is_registered():
            return
        until = max(room.keys.grant.not_after, await room.ask_chain_time() + 2 * RENEW_BEFORE_S)
        await self._name(room.keys.operator_address, until, REGISTER)

    async def _dismiss_earlier(self) -> None:
        """Dismiss one operator of a machine before this one; done when none is left."""
        room = self._room
        if not room.db.read(lambda conn: operator_until(room, conn)):
            return  # our own naming is not read yet, nor perhaps others before it
        earlier = room.db.read(lambda conn: earlier_operators(room, conn))
        if earlier:
            await self._name(earlier[0], 0, DISMISS)
        else:
            self._done = True

    async def _name(self, who: bytes, until: int, purpose: str) -> None:
        """Sign with the store key until when somebody acts for it, and let our operator carry that to the chain."""
        room, client, operator = self._room, self._room.chain.client, self._room.keys.operator_address
        deadline = await room.ask_chain_time() + SIGNATURE_VALID_S
        nonce, escrow = int(await client.call("Escrow", "nonces", room.me)), room.chain.contracts.escrow
        digest = set_operator_digest(room.me, who, until, nonce, deadline, client.chain_id, escrow)
        signature = sign(room.keys.store_private, digest)
        data = halle_contracts.encode_call(
            "Escrow", "setOperatorBySig", room.me, who, until, nonce, deadline, signature
        )

        def change(conn: Connection) -> None:
            recent = chain_tx.c.created_at > room.clock() - RETRY_AFTER_S
            under_way = select(chain_tx.c.id).where(
                chain_tx.c.purpose == purpose, or_(chain_tx.c.state.in_(MOVING_STATES), recent)
            )
            if conn.execute(under_way).first() is None:
                room.chain.outbox.enqueue(conn, signer=operator, to=escrow, data=data, purpose=purpose, ref=room.me)

        await room.db.write(change)
