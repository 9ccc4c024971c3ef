"""Our bond in the warranty contract: what backs the certificates we issue or sell."""

from __future__ import annotations

from sqlalchemy import Connection

import halle_contracts
from halle_node.trade.room import Room
from halle_node.trade.views import BondView
from halle_protocol.errors import Refused

TOKEN = "TestToken"  # noqa: S105 the name of an ABI


async def bond_of(room: Room, account: bytes, token: bytes) -> tuple[int, int]:
    """Return a bond by the chain, and what of it is reserved. Units: token's smallest unit."""
    found = await room.chain.client.call("Warranty", "bondOf", account, token)
    bond, reserved = found.values() if isinstance(found, dict) else found
    return int(bond), int(reserved)


async def free_bond(room: Room, account: bytes, token: bytes) -> int:
    """Return what of a bond backs nothing. Units: token's smallest unit."""
    bond, reserved = await bond_of(room, account, token)
    return bond - reserved


async def balance_of(room: Room, account: bytes, token: bytes) -> int:
    """Return what an account holds. Units: token's smallest unit."""
    return int(await room.chain.client.call(TOKEN, "balanceOf", account, at=token))


class Bonding:
    """Add to the bond and take from it; the store key signs, because the bond is the store's."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def bonds(self) -> list[BondView]:
        """Return our bond in each token that this node knows."""
        room, found = self._room, []
        for symbol, (token, decimals) in room.chain.contracts.tokens.items():
            bond, reserved = await bond_of(room, room.me, token)
            balance = await balance_of(room, room.me, token)
            found.append(BondView(token, symbol, decimals, bond, reserved, balance))
        return found

    async def deposit(self, token: bytes, amount: int) -> None:
        """Add to the bond.

        Raises: Refused balance-too-small, keys-locked.
        """
        room = self._room
        _ = room.keys.store_private
        balance = await balance_of(room, room.me, token)
        if not 0 < amount <= balance:
            raise Refused(
                f"The account holds {balance}.", code="balance-too-small", hint="Add between 1 and that much."
            )
        warranty = room.chain.contracts.warranty
        approval = halle_contracts.encode_call(TOKEN, "approve", warranty, amount)
        deposit = halle_contracts.encode_call("Warranty", "deposit", token, amount)

        def change(conn: Connection) -> None:
            self._enqueue(conn, token, approval, "approve-bond")
            self._enqueue(conn, warranty, deposit, "deposit")

        await room.db.write(change)

    async def withdraw(self, token: bytes, amount: int | None) -> int:
        """Take back bond that backs nothing; None takes all of it. Return how much.

        Raises: Refused bond-too-small, keys-locked.
        """
        room = self._room
        _ = room.keys.store_private
        free = await free_bond(room, room.me, token)
        wanted = free if amount is None else amount
        if not 0 < wanted <= free:
            raise Refused(f"{free} of the bond is free.", code="bond-too-small", hint="The rest backs certificates.")
        data = halle_contracts.encode_call("Warranty", "withdrawBond", token, wanted)
        to = room.chain.contracts.warranty
        await room.db.write(lambda conn: self._enqueue(conn, to, data, "withdraw-bond"))
        return wanted

    def _enqueue(self, conn: Connection, to: bytes, data: bytes, purpose: str) -> int:
        room = self._room
        ref = room.me.rjust(32, b"\0")
        return room.chain.outbox.enqueue(conn, signer=room.me, to=to, data=data, purpose=purpose, ref=ref)
