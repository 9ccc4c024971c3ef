"""How an order's money leaves escrow, and how the two sides agree or disagree about it."""

from __future__ import annotations

from sqlalchemy import Connection

from halle_node.trade import book, chainwork, letters
from halle_node.trade.book import Order
from halle_node.trade.folding import refresh
from halle_node.trade.legal import require
from halle_node.trade.room import Room
from halle_protocol.errors import Refused
from halle_protocol.order import OrderState, Proposal
from halle_protocol.signing import sign
from halle_protocol.terms import settlement_digest


class Settling:
    """Moves of money out of escrow."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def release(self, order_key: str, amount: int | None) -> None:
        """Pay the merchant."""
        await self._pay(order_key, "release", amount)

    async def refund(self, order_key: str, amount: int | None) -> None:
        """Pay the buyer back."""
        await self._pay(order_key, "refund", amount)

    async def reclaim(self, order_key: str) -> None:
        """Take back what a late merchant has not earned."""
        await self._plain(order_key, "reclaim", "reclaim")

    async def lapse(self, order_key: str) -> None:
        """Return an offer that was not accepted."""
        await self._plain(order_key, "lapse", "lapse")

    async def claim(self, order_key: str) -> None:
        """Collect what inspection left undisputed."""
        await self._plain(order_key, "claim", "claim")

    async def escalate(self, order_key: str) -> None:
        """Hand a dispute to the backup arbiter."""
        await self._plain(order_key, "escalate", "escalate")

    async def close_by_default(self, order_key: str) -> None:
        """End a dispute nobody ruled."""
        await self._plain(order_key, "close_by_default", "closeByDefault")

    async def propose(self, order_key: str, buyer_share: int, note: str) -> None:
        """Sign a split of what is held and send it."""
        now = await self._room.ask_chain_time()

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            state = require(conn, order, "propose_settlement", now)
            _check_amount(buyer_share, state.held, least=0)
            body = {
                "buyer_share": buyer_share,
                "paid_out": state.paid_out,
                "sig": self._sign(conn, order, buyer_share, state.paid_out),
                "note": note,
            }
            letters.send(self._room, conn, order, "settlement/propose", body)
            refresh(conn, order.key, self._room.clock())

        await self._room.db.write(change)

    async def accept(self, order_key: str, buyer_share: int | None = None) -> None:
        """Sign the other side's newest live proposal and put both signatures on chain.

        `buyer_share` is the split that was read; another one that came meanwhile is not signed.
        Units: token's smallest unit. Raises: Refused settlement-unknown, settlement-changed.
        """
        now = await self._room.ask_chain_time()

        def change(conn: Connection) -> None:
            room = self._room
            order = book.find(conn, order_key)
            state = require(conn, order, "accept_settlement", now)
            chainwork.refuse_twice(conn, order, "settle")
            proposal = _live(state, order)
            if buyer_share not in (None, proposal.buyer_share):
                raise Refused(
                    "The other side has proposed another split since.",
                    code="settlement-changed",
                    hint="Read the new one before you accept.",
                    buyer_share=proposal.buyer_share,
                )
            mine = self._sign(conn, order, proposal.buyer_share, proposal.paid_out)
            buyer_sig, merchant_sig = (mine, proposal.sig) if order.role == "buyer" else (proposal.sig, mine)
            self._call(conn, order, "settle", proposal.buyer_share, buyer_sig, merchant_sig)
            body = {"buyer_share": proposal.buyer_share, "paid_out": proposal.paid_out, "sig": mine}
            letters.send(room, conn, order, "settlement/accept", body)
            refresh(conn, order.key, room.clock())

        await self._room.db.write(change)

    async def _pay(self, order_key: str, action: str, amount: int | None) -> None:
        now = await self._room.ask_chain_time()

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            state = require(conn, order, action, now)
            wanted = state.held if amount is None else amount
            _check_amount(wanted, state.held, least=1)
            _refuse_while_moving(conn, order)
            self._call(conn, order, action, wanted)

        await self._room.db.write(change)

    async def _plain(self, order_key: str, action: str, function: str) -> None:
        now = await self._room.ask_chain_time()

        def change(conn: Connection) -> None:
            order = book.find(conn, order_key)
            require(conn, order, action, now)
            chainwork.refuse_twice(conn, order, function)
            self._call(conn, order, function)

        await self._room.db.write(change)

    def _call(self, conn: Connection, order: Order, function: str, *args: object) -> None:
        signer = chainwork.side_signer(self._room, conn, order)
        chainwork.call(self._room, conn, order, function, *args, signer=signer)

    def _sign(self, conn: Connection, order: Order, buyer_share: int, paid_out: int) -> bytes:
        room = self._room
        is_buyer = order.role == "buyer"
        private = room.keys.store_private if is_buyer else chainwork.merchant_private(room, conn)
        escrow, chain_id = room.chain.contracts.escrow, room.chain.client.chain_id
        return sign(private, settlement_digest(order.order_id, buyer_share, paid_out, chain_id, escrow))


def _live(state: OrderState, order: Order) -> Proposal:
    for proposal in state.proposals:
        if proposal.by != order.role and proposal.paid_out == state.paid_out:
            return proposal
    raise Refused("No proposal of the other side is open.", code="settlement-unknown")


def _check_amount(amount: int, held: int, *, least: int) -> None:
    if not least <= amount <= held:
        raise Refused(
            f"{amount} is not between {least} and the {held} held.",
            code="amount-out-of-range",
            hint="Units are the token's smallest.",
            held=held,
        )


def _refuse_while_moving(conn: Connection, order: Order) -> None:
    """Refuse a second payout until the first is in a block: what is held would be counted twice."""
    if chainwork.in_flight(conn, order, ("release", "refund", "settle")):
        raise Refused(
            "Another payout of this order is on its way.", code="already-sent", hint="Wait until it has arrived."
        )
