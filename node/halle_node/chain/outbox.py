"""Transactions the node owes the chain: each happens once, whatever crashes in between.

Rule: a row is made in the transaction of the business change; its nonce and signed bytes are stored before
the first broadcast; from then on the same bytes, or dearer ones with the same nonce, are sent until one is
mined and deep enough. So a crash at any point ends in one effect: never none, never two.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from halle_node.chain import outbox_rows as rows
from halle_node.chain.backoff import Backoff
from halle_node.chain.binding import ChainBinding
from halle_node.chain.client import ChainClient, Fees
from halle_node.chain.outbox_send import Verdict, send_verdict
from halle_node.chain.reading import inconsistent
from halle_node.chain.records import Depths, Finality, Receipt, TxStatus
from halle_node.chain.rpc import RpcError
from halle_node.chain.transaction import UnsignedTx, sign_transaction
from halle_node.db import Database
from halle_protocol.errors import HalleError, Refused, Unavailable

IDLE_POLL_S = 5.0
EMBEDDED_POLL_S = 0.2
CHAIN_POLL_S = 2.0
BUMP_AFTER_S = 45
BUMP_PERCENT = 25
GAS_MARGIN_PERCENT = 20
FEE_CEILING_WEI = 5_000 * 10**9

Signers = Mapping[bytes, bytes] | Callable[[bytes], bytes]
Subscriber = Callable[[Connection, TxStatus], None]

_log = logging.getLogger(__name__)


class Outbox:
    """Sends what `enqueue` stored.

    `signers` gives the private key of an address, or raises Refused keys-locked.
    """

    def __init__(
        self,
        db: Database,
        client: ChainClient,
        signers: Signers,
        *,
        clock: Callable[[], int],
        depths: Depths | None = None,
        bump_after_s: int = BUMP_AFTER_S,
        fee_ceiling_wei: int = FEE_CEILING_WEI,
    ) -> None:
        self._db = db
        self._client = client
        self._key_of = signers if callable(signers) else signers.__getitem__
        self._clock = clock
        self._depths = depths
        self._bump_after_s = bump_after_s
        self._fee_ceiling_wei = fee_ceiling_wei
        self._binding = ChainBinding(db, client)
        self._subscribers: list[Subscriber] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self.problem: HalleError | None = None
        self.restored_at = 0
        """What was asked for until then may have been done by the lost machine, in a form that is not stored here."""

    def enqueue(
        self,
        conn: Connection,
        *,
        signer: bytes,
        to: bytes,
        data: bytes,
        purpose: str,
        ref: bytes,
        value: int = 0,
    ) -> int:
        """Store a transaction to make, in the caller's own database transaction; return its row id."""
        row_id = rows.add(
            conn,
            signer=signer,
            to_address=to,
            data=data,
            value=value,
            purpose=purpose,
            ref=ref,
            created_at=self._clock(),
        )
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)
        return row_id

    def subscribe(self, callback: Subscriber) -> None:
        """Have `callback(connection, status)` run inside the transaction of every change of a row's state."""
        self._subscribers.append(callback)

    def status(self, row_id: int) -> TxStatus:
        """Raises: Refused tx-unknown."""
        row = self._db.read(lambda connection: rows.get(connection, row_id))
        if row is None:
            raise Refused(f"There is no transaction {row_id}.", code="tx-unknown")
        return rows.status(row)

    def waiting(self, limit: int = 200) -> list[TxStatus]:
        """Return transactions that are not final, and those that failed, newest first."""
        return [rows.status(row) for row in self._db.read(lambda connection: rows.unsettled(connection, limit))]

    def nudge(self) -> None:
        """Work now instead of at the next poll."""
        self._wake.set()

    async def wait(self, row_id: int, timeout_s: float) -> Receipt:
        """Return the receipt once the transaction is in a block and succeeded.

        Raises: Refused reverted or the reason it failed; Unavailable tx-timeout.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._settled(row_id)
        except TimeoutError as error:
            status = self.status(row_id)
            raise Unavailable(
                f"Transaction {row_id} ({status.purpose}) is {status.state} after {timeout_s:g} s.",
                code="tx-timeout",
                hint=status.error_text or "It goes on in the background.",
            ) from error

    async def run(self) -> None:
        """Work until cancelled. Outages are waited out."""
        self._loop = asyncio.get_running_loop()
        backoff = Backoff()
        while True:
            self._wake.clear()
            try:
                pending = await self.step()
                backoff.reset()
                delay = self._poll_s() if pending else IDLE_POLL_S
                self.problem = None
            except HalleError as error:
                self._binding.doubt()
                self._note(error)
                delay = backoff.next()
            except Exception:  # the task's top: one bad row must not stop the money for ever
                _log.exception("the outbox failed; it goes on")
                delay = backoff.next()
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def step(self) -> int:
        """Move every row as far as it goes now; return how many are unfinished."""
        self._loop = asyncio.get_running_loop()
        # Through the writer, so that a row whose transaction is still committing is seen.
        found = await self._db.write(rows.active)
        if not found:
            return 0
        await self._binding.ensure()
        by_signer: dict[bytes, list[Row[Any]]] = defaultdict(list)
        for row in found:
            by_signer[row.signer].append(row)
        head = await self._client.block_number()
        for each in by_signer.values():
            await self._advance_signer(each, head)
        return len(await self._db.read_async(rows.active))

    async def _advance_signer(self, mine: Sequence[Row[Any]], head: int) -> None:
        """Settle first, so that what follows knows what happened; then send what is signed; then sign."""
        for row in mine:
            if row.state in ("sent", "mined"):
                await self._follow(row, head)
        for row in mine:
            if row.state == "signed" and not await self._broadcast(row):
                return
        for row in mine:
            if row.state == "queued" and not await self._prepare(row):
                return

    async def _prepare(self, row: Row[Any]) -> bool:
        """Sign and send a queued row; False when those behind it must wait."""
        try:
            gas = await self._client.estimate_gas(row.signer, row.to_address, row.data, row.value)
            private = self._key_of(row.signer)
        except Refused as error:
            return await self._cannot_prepare(row, error)
        except RpcError as error:
            await self._change(row.id, error_code=send_verdict(error.text).code, error_text=error.text)
            return False
        except KeyError:
            await self._change(row.id, error_code="signer-unknown", error_text="This node has no such key.")
            return False
        fees = self._capped(await self._client.fees())
        nonce = await self._client.nonce(row.signer, "pending")
        gas_limit = gas * (100 + GAS_MARGIN_PERCENT) // 100
        signed = await self._db.write(
            lambda connection: self._sign_new(connection, row, private, fees, nonce, gas_limit)
        )
        return await self._broadcast(signed)

    def _sign_new(
        self, connection: Connection, row: Row[Any], private: bytes, fees: Fees, nonce: int, gas: int
    ) -> Row[Any]:
        free = rows.next_nonce(connection, row.signer, nonce)
        tx = self._unsigned(row, free, gas, fees)
        values = rows.add_attempt(connection, row.id, tx, sign_transaction(private, tx), self._clock())
        return self._announce(connection, row.id, error_code=None, error_text=None, **values)

    async def _cannot_prepare(self, row: Row[Any], error: Refused) -> bool:
        if error.code != "reverted":
            await self._change(row.id, error_code=error.code, error_text=str(error))
            return False
        # It may only succeed after an earlier transaction that is still under way (approve, then fund).
        before = await self._db.read_async(
            lambda connection: [each for each in rows.active(connection) if each.signer == row.signer]
        )
        if any(each.id < row.id and each.state in rows.IN_FLIGHT for each in before):
            return False
        await self._change(row.id, state="failed", error_code=error.code, error_text=error.message)
        return True

    async def _broadcast(self, row: Row[Any]) -> bool:
        """Send the newest signed bytes of a row; False when the chain did not take them."""
        newest = (await self._db.read_async(lambda connection: rows.attempts(connection, row.id)))[0]
        try:
            await self._client.send_raw(newest.raw)
        except RpcError as error:
            verdict = send_verdict(error.text)
            if verdict is Verdict.UNDERPRICED:
                await self._bump(row)
            if not verdict.taken:
                await self._change(row.id, error_code=verdict.code, error_text=error.text)
                return False
        await self._change(row.id, state="sent", sent_at=self._clock(), error_code=None, error_text=None)
        return True

    async def _follow(self, row: Row[Any], head: int) -> None:
        """Look a sent or mined row up by every hash it ever had."""
        tried = await self._db.read_async(lambda connection: rows.attempts(connection, row.id))
        for attempt in tried:
            receipt = await self._client.receipt(attempt.tx_hash)
            if receipt is not None:
                await self._mined(row, receipt, head)
                return
        if row.state == "mined":
            # A reorg took its block away; the bytes are still good.
            await self._change(row.id, state="sent", block_number=None, block_hash=None, error_code=None)
        await self._not_mined(row, tried, head)

    async def _mined(self, row: Row[Any], receipt: Receipt, head: int) -> None:
        depths = self._depths or self._client.depths
        final = depths.finality(receipt.block_number, max(head, receipt.block_number)) is Finality.FINAL
        if final and await self._client.final_hash(receipt.block_number) != receipt.block_hash:
            raise inconsistent("a receipt", "a block that is not on the chain")
        values: dict[str, Any] = {"error_code": None, "error_text": None}
        if not receipt.succeeded:
            values = {"error_code": "reverted", "error_text": await self._revert_reason(row, receipt)}
        state = "mined" if not final else "final" if receipt.succeeded else "failed"
        await self._change(
            row.id,
            state=state,
            tx_hash=receipt.tx_hash,
            block_number=receipt.block_number,
            block_hash=receipt.block_hash,
            **values,
        )

    async def _revert_reason(self, row: Row[Any], receipt: Receipt) -> str:
        """Return why a mined transaction failed, as far as the chain still tells."""
        if row.error_text:
            return str(row.error_text)
        # The state before its block first; after it, if it was another transaction of the block that spoilt it.
        for at in (receipt.block_number - 1, receipt.block_number):
            try:
                await self._client.call_raw(row.to_address, row.data, sender=row.signer, value=row.value, at=at)
            except Refused as error:
                return error.message
            except RpcError as error:
                return error.text
        return "The contract refused, or the gas ran out."

    async def _not_mined(self, row: Row[Any], tried: Sequence[Row[Any]], head: int) -> None:
        if await self._client.nonce(row.signer) > row.nonce:
            await self._nonce_taken(row, tried, head)
            return
        if await self._client.transaction(tried[0].tx_hash) is None:
            await self._broadcast(row)
        elif self._is_first_waiting(row) and self._clock() - tried[0].made_at >= self._bump_after_s:
            await self._bump(row)
            await self._broadcast(row)
            text = f"It is in no block after {self._clock() - tried[-1].made_at} s, at {len(tried)} fees so far."
            await self._change(row.id, error_code="tx-slow", error_text=text)

    async def _nonce_taken(self, row: Row[Any], tried: Sequence[Row[Any]], head: int) -> None:
        """Start again with a new nonce, once it is final that another transaction used this one."""
        depths = self._depths or self._client.depths
        final_block = max(0, head - depths.final + 1)
        if await self._client.final_nonce(row.signer, final_block) <= row.nonce:
            text = f"Another transaction of the same key has used its number, {row.nonce}."
            await self._change(row.id, error_code="nonce-taken", error_text=text)
            return
        for attempt in tried:
            if await self._client.endpoints.know_receipt(attempt.tx_hash):
                return
        if row.created_at <= self.restored_at:
            told = "The node was restored; make the move again if it is due."
            await self._change(row.id, state="failed", error_code="restored", error_text=told)
            return
        await self._change(row.id, state="queued", nonce=None, tx_hash=None)

    def _is_first_waiting(self, row: Row[Any]) -> bool:
        found = self._db.read(rows.active)
        waiting = [each.nonce for each in found if each.signer == row.signer and each.state in rows.IN_FLIGHT]
        return not waiting or row.nonce == min(waiting)

    async def _bump(self, row: Row[Any]) -> None:
        """Sign the same call with the same nonce and higher fees, and store that before it is sent."""
        now_fees = await self._client.fees()
        try:
            private = self._key_of(row.signer)
        except Refused as error:
            await self._change(row.id, error_code=error.code, error_text=str(error))
            return

        def sign_dearer(connection: Connection) -> None:
            last = rows.attempts(connection, row.id)[0]
            fees = self._capped(
                Fees(
                    max_fee=max(now_fees.max_fee, _raised(last.max_fee)),
                    tip=max(now_fees.tip, _raised(last.tip)),
                )
            )
            if fees.max_fee <= last.max_fee:
                return  # at the ceiling
            tx = self._unsigned(row, row.nonce, row.gas_limit, fees)
            values = rows.add_attempt(connection, row.id, tx, sign_transaction(private, tx), self._clock())
            self._announce(connection, row.id, **values)

        await self._db.write(sign_dearer)

    def _unsigned(self, row: Row[Any], nonce: int, gas: int, fees: Fees) -> UnsignedTx:
        return UnsignedTx(
            chain_id=self._client.chain_id,
            nonce=nonce,
            to=row.to_address,
            data=row.data,
            value=row.value,
            gas=gas,
            max_fee=fees.max_fee,
            tip=fees.tip,
        )

    def _capped(self, fees: Fees) -> Fees:
        max_fee = min(fees.max_fee, self._fee_ceiling_wei)
        return Fees(max_fee=max_fee, tip=min(fees.tip, max_fee))

    async def _change(self, row_id: int, **values: Any) -> None:
        await self._db.write(lambda connection: self._announce(connection, row_id, **values))

    def _announce(self, connection: Connection, row_id: int, **values: Any) -> Row[Any]:
        changed = rows.change(connection, row_id, **values)
        if changed is not None:
            for callback in self._subscribers:
                callback(connection, rows.status(changed))
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._notify)
        row = rows.get(connection, row_id)
        assert row is not None, "outbox rows are never deleted"
        return row

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _settled(self, row_id: int) -> Receipt:
        while True:
            changed = self._changed
            # Through the writer: the change that was announced is then committed.
            row = await self._db.write(lambda connection: rows.get(connection, row_id))
            if row is None:
                raise Refused(f"There is no transaction {row_id}.", code="tx-unknown")
            if row.state == "failed" or row.error_code == "reverted":
                raise Refused(str(row.error_text), code=row.error_code, purpose=row.purpose)
            if row.state in ("mined", "final"):
                receipt = await self._client.receipt(row.tx_hash)
                if receipt is not None:
                    return receipt
            await changed.wait()

    def _poll_s(self) -> float:
        return EMBEDDED_POLL_S if self._client.is_embedded else CHAIN_POLL_S

    def _note(self, error: HalleError) -> None:
        if self.problem is None or self.problem.code != error.code:
            _log.warning("transactions wait: %s", error)
        self.problem = error


def _raised(fee: int) -> int:
    return fee * (100 + BUMP_PERCENT) // 100 + 1
