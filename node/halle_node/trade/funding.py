"""Put the money into escrow: on the merchant's signed quote, or as an offer while the merchant is away.

Rule: the signed permit, the transaction row and the mark on the order are one database transaction; the buyer's key
signs nothing but the terms it has itself computed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import Connection

import halle_contracts
from halle_node.trade import book, chainwork
from halle_node.trade.book import Order
from halle_node.trade.folding import refresh, state_of
from halle_node.trade.legal import require
from halle_node.trade.room import Room
from halle_protocol.errors import HalleError, Refused, Unavailable
from halle_protocol.keys import keccak256
from halle_protocol.signing import sign, typed_digest
from halle_protocol.terms import Terms, terms_signer

PERMIT_TYPE = keccak256(b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)")
PERMIT_VALID_S = 86_400
TOKEN = "TestToken"  # noqa: S105 the name of an ABI: every ERC-20 with ERC-2612 answers to it


@dataclass(frozen=True)
class Permit:
    """An ERC-2612 permit. Units: deadline in unix seconds of the chain."""

    deadline: int
    v: int
    r: bytes
    s: bytes


class Funding:
    """The buyer's payment."""

    def __init__(self, room: Room) -> None:
        self._room = room
        # A permit carries the account's permit number: no other payment may begin between reading and storing it.
        self._one_by_one = asyncio.Lock()

    async def approve(self, order_key: str) -> None:
        """Fund with the merchant's signature when it is here and counts on chain, else as an offer."""
        order = self._room.db.read(lambda conn: book.find(conn, order_key))
        await self._fund(order, await self._usable_signature(order))

    async def offer(self, order_key: str) -> None:
        """Fund without the merchant's signature."""
        await self._fund(self._room.db.read(lambda conn: book.find(conn, order_key)), b"")

    async def _fund(self, order: Order, signature: bytes) -> None:
        async with self._one_by_one:
            await self._fund_alone(order, signature)

    async def _fund_alone(self, order: Order, signature: bytes) -> None:
        room, terms = self._room, order.known_terms()
        now = await room.ask_chain_time()
        self._check_problem(order)
        await self._check_balance(order, terms)
        permit = await self._permit(terms, now)

        def change(conn: Connection) -> None:
            current = book.find(conn, order.key)
            chainwork.refuse_twice(conn, current, "fund")
            if state_of(conn, current).funded_at is not None:
                raise Refused("This order is already paid.", code="already-funded")
            self._check_valid(terms, now)
            require(conn, current, "approve", now)
            self._enqueue(conn, current, terms, signature, permit)
            refresh(conn, current.key, room.clock())

        await room.db.write(change)

    def _enqueue(self, conn: Connection, order: Order, terms: Terms, signature: bytes, permit: Permit | None) -> None:
        room = self._room
        escrow, packed = room.chain.contracts.escrow, halle_contracts.terms_tuple(terms)
        if permit is None:
            approval = halle_contracts.encode_call(TOKEN, "approve", escrow, terms.amount)
            chainwork.enqueue(room, conn, order, terms.token, approval, room.me, "approve-token")
            data = halle_contracts.encode_call("Escrow", "fund", packed, signature)
        else:
            parts = (permit.deadline, permit.v, permit.r, permit.s)
            data = halle_contracts.encode_call("Escrow", "fundWithPermit", packed, signature, *parts)
        chainwork.enqueue(room, conn, order, escrow, data, room.me, "fund")

    def _check_problem(self, order: Order) -> None:
        if order.row.problem == "quote-mismatch":
            raise Refused(
                "The shop's last quote was not what you ordered.",
                code="quote-mismatch",
                hint="Ask the shop for a correct quote, or order again.",
            )

    def _check_valid(self, terms: Terms, now: int) -> None:
        if now > terms.valid_until:
            raise Refused("The time to pay on these terms is over.", code="quote-expired", hint="Order again.")

    async def _check_balance(self, order: Order, terms: Terms) -> None:
        room = self._room
        balance = int(await room.chain.client.call(TOKEN, "balanceOf", room.me, at=terms.token))
        if balance < terms.amount:
            raise Refused(
                f"Your account holds {balance} of the {terms.amount} units this order costs.",
                code="balance-too-small",
                hint="Top up the account, then approve again.",
                balance=balance,
                needed=terms.amount,
            )

    async def _usable_signature(self, order: Order) -> bytes:
        """Return the merchant's signature when the escrow would accept it now, else nothing."""
        signature = order.signature
        if not signature:
            return b""
        room, terms = self._room, order.known_terms()
        document = order.known_document()
        signer = terms_signer(terms, signature, document.chain_id, document.escrow)
        if signer == terms.merchant:
            return signature
        until = await room.chain.client.call("Escrow", "operatorUntil", terms.merchant, signer)
        return signature if int(until) >= await room.ask_chain_time() else b""

    async def _permit(self, terms: Terms, now: int) -> Permit | None:
        """Return a permit signed by our key; None for a token that knows no permits.

        None too while another payment of ours is on its way: both permits would bear one number, and only one counts.
        Approvals are bound to nothing but their turn, and our transactions are mined in theirs.
        Raises: Refused keys-locked.
        """
        room, client = self._room, self._room.chain.client
        if room.db.read(lambda conn: chainwork.is_moving(conn, room.me, ("fund",))):
            return None
        private = room.keys.store_private
        escrow = room.chain.contracts.escrow
        try:
            domain = await client.call(TOKEN, "DOMAIN_SEPARATOR", at=terms.token)
            nonce = int(await client.call(TOKEN, "nonces", room.me, at=terms.token))
        except Unavailable:
            raise
        except HalleError:
            return None
        deadline = now + PERMIT_VALID_S
        fields = (_word(room.me), _word(escrow), _number(terms.amount), _number(nonce), _number(deadline))
        signature = sign(private, typed_digest(bytes(domain), keccak256(PERMIT_TYPE + b"".join(fields))))
        return Permit(deadline, signature[64], signature[:32], signature[32:64])


def _word(address: bytes) -> bytes:
    return address.rjust(32, b"\0")


def _number(value: int) -> bytes:
    return value.to_bytes(32, "big")
