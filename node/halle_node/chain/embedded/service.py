"""The embedded chain as its journal tells it: accept, mine, travel in time, give out coins.

Shape: journal lines are `{"halle-chain":1,"id","time"}` first, then one of `{"raw"}` accepted and waiting,
`{"time","txs","hash"}` a block, `{"offset"}` seconds ahead of the wall clock, `{"automine"}`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth.abc import SignedTransactionAPI
from eth.exceptions import PyEVMError
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from halle_node.chain.embedded import CHAIN_ID
from halle_node.chain.embedded.evm import Call, Evm, MinedBlock
from halle_node.chain.embedded.genesis import GAS_LIMIT, Genesis
from halle_node.chain.embedded.journal import Entry, Journal
from halle_node.chain.embedded.pool import Pool, TxRejected
from halle_protocol.errors import Refused

FORMAT = 1
MAX_TIME_TRAVEL_S = 100 * 365 * 86_400
MAX_MINED_AT_ONCE = 1_000
_UNDECODABLE = (PyEVMError, ValidationError, RLPException, ValueError, TypeError, IndexError)


class ChainService:
    """One chain, one journal, one caller at a time."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._journal = Journal(folder)
        self.pool = Pool()
        self.offset_s = 0
        self.automine = True
        try:
            self._replay_all()
        except BaseException:
            self._journal.close()
            raise

    def close(self) -> None:
        self._journal.close()

    def now(self) -> int:
        """Return the time the next block will bear."""
        return max(int(self.evm.head.header.timestamp), self._clock() + self.offset_s)

    def submit(self, raw: bytes) -> bytes:
        """Accept a signed transaction; return its hash once it cannot be lost.

        Raises: TxRejected.
        """
        try:
            tx = self.evm.decode(raw)
        except _UNDECODABLE as error:
            raise TxRejected(f"rlp: {error}") from error
        state = self.head_state()
        self.pool.check(tx, state, self.evm.chain_id)
        runs_now = tx.nonce == state.get_nonce(bytes(tx.sender)) and tx.max_fee_per_gas >= self.next_base_fee()
        if self.automine and runs_now:
            self._mine_alone(raw, tx)
            self._mine_executable()
        else:
            self._journal.append({"raw": raw.hex()})
            self.pool.add(raw, tx)
        return bytes(tx.hash)

    def mine(self, count: int = 1) -> None:
        """Append `count` blocks; the first takes what waits."""
        if not 0 < count <= MAX_MINED_AT_ONCE:
            raise TxRejected(f"cannot mine {count} blocks at once; at most {MAX_MINED_AT_ONCE}")
        if not self._mine_executable():
            self._mine_block([])
        for _ in range(count - 1):
            self._mine_block([])

    def increase_time(self, seconds: int) -> int:
        """Move the clock of blocks to come forward; return how far ahead of the wall it is."""
        if not 0 <= seconds <= MAX_TIME_TRAVEL_S:
            raise TxRejected(f"cannot travel {seconds} seconds")
        self._journal.append({"offset": self.offset_s + seconds})
        self.offset_s += seconds
        return self.offset_s

    def set_automine(self, on: bool) -> None:
        self._journal.append({"automine": on})
        self.automine = on
        if on:
            self._mine_executable()

    def head_state(self) -> Any:
        return self.evm.state(self.evm.head.number)

    def next_base_fee(self) -> int:
        """Return what one unit of gas costs at least in the next block, in wei."""
        return self.evm.next_base_fee()

    def call(self, call: Call, number: int, *, as_next: bool) -> Any:
        return self.evm.execute(call, number, self.now() if as_next else None)

    def _mine_alone(self, raw: bytes, tx: SignedTransactionAPI) -> None:
        try:
            self._mine_block([(raw, tx)])
        except ValidationError as error:
            raise TxRejected(str(error)) from error

    def _mine_executable(self) -> bool:
        """Put what waits and can run into a block; False when nothing does."""
        ready = self.pool.executable(self.head_state(), self.evm.next_base_fee())
        if not ready:
            return False
        try:
            self._mine_block(ready)
        except ValidationError:
            # One of them cannot be in a block any more (its sender's coins are gone): find it alone.
            for each in ready:
                self._mine_or_drop(each)
        return True

    def _mine_or_drop(self, each: tuple[bytes, SignedTransactionAPI]) -> None:
        try:
            self._mine_block([each])
        except ValidationError:
            self.pool.remove(each[1])

    def _mine_block(self, txs: list[tuple[bytes, SignedTransactionAPI]]) -> MinedBlock:
        block = self._apply(txs, self.now())
        line: Entry = {"time": int(block.header.timestamp), "hash": block.hash.hex()}
        line["txs"] = [raw.hex() for raw, _ in txs]
        try:
            self._journal.append(line)
        except BaseException:
            self.evm.forget_head()
            raise
        for _, tx in txs:
            self.pool.remove(tx)
        return block

    def _apply(self, txs: list[tuple[bytes, SignedTransactionAPI]], timestamp: int) -> MinedBlock:
        if sum(tx.gas for _, tx in txs) > GAS_LIMIT:
            raise ValidationError("the block is full")
        return self.evm.mine(txs, timestamp)

    def _replay_all(self) -> None:
        if not self._journal.entries:
            self._journal.entries = [{"halle-chain": FORMAT, "id": CHAIN_ID, "time": self._clock()}]
            self._journal.append(self._journal.entries[0])
        first, *entries = self._journal.entries
        self._journal.entries = []
        self.evm = Evm(self._genesis(first))
        for entry in entries:
            self._replay(entry)

    def _genesis(self, first: Entry) -> Genesis:
        if first.get("halle-chain") != FORMAT or first.get("id") != CHAIN_ID:
            raise _corrupt("its first line names another format or chain")
        return Genesis(CHAIN_ID, int(first["time"]))

    def _replay(self, entry: Entry) -> None:
        match entry:
            case {"time": timestamp, "txs": raws, "hash": expected}:
                txs = [(bytes.fromhex(raw), self.evm.decode(bytes.fromhex(raw))) for raw in raws]
                block = self._apply(txs, timestamp)
                if block.hash.hex() != expected:
                    raise _corrupt(f"block {block.number} replays to another hash")
                for _, tx in txs:
                    self.pool.remove(tx)
            case {"raw": raw}:
                self.pool.add(bytes.fromhex(raw), self.evm.decode(bytes.fromhex(raw)))
            case {"offset": offset}:
                self.offset_s = offset
            case {"automine": on}:
                self.automine = on
            case _:
                raise _corrupt("it has a line of no known kind")


def _corrupt(what: str) -> Refused:
    return Refused(
        f"The chain's journal cannot be replayed: {what}.",
        code="chain-journal-corrupt",
        hint="Restore the file from a backup, or start a new chain in another folder.",
    )
