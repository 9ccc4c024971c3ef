"""The rows of the outbox: what is stored before, between and after broadcasts.

Shape: every function runs inside a transaction of the caller.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from halle_node.chain.records import TxStatus
from halle_node.chain.transaction import SignedTx, UnsignedTx
from halle_node.db.schema.chain import chain_tx, chain_tx_attempt

ACTIVE = ("queued", "signed", "sent", "mined")
IN_FLIGHT = ("signed", "sent")


def add(connection: Connection, **values: Any) -> int:
    """Return the id of a new queued row."""
    statement = insert(chain_tx).values(state="queued", **values).returning(chain_tx.c.id)
    return int(connection.execute(statement).scalar_one())


def active(connection: Connection) -> list[Row[Any]]:
    """Return unfinished rows in the order they must happen."""
    return list(connection.execute(select(chain_tx).where(chain_tx.c.state.in_(ACTIVE)).order_by(chain_tx.c.id)))


def unsettled(connection: Connection, limit: int) -> list[Row[Any]]:
    """Return unfinished and failed rows, newest first."""
    wanted = select(chain_tx).where(chain_tx.c.state.in_((*ACTIVE, "failed")))
    return list(connection.execute(wanted.order_by(chain_tx.c.id.desc()).limit(limit)))


def get(connection: Connection, row_id: int) -> Row[Any] | None:
    return connection.execute(select(chain_tx).where(chain_tx.c.id == row_id)).first()


def status(row: Row[Any]) -> TxStatus:
    return TxStatus(
        id=row.id,
        state=row.state,
        purpose=row.purpose,
        ref=row.ref,
        signer=row.signer,
        nonce=row.nonce,
        tx_hash=row.tx_hash,
        block_number=row.block_number,
        error_code=row.error_code,
        error_text=row.error_text,
    )


def next_nonce(connection: Connection, signer: bytes, chain_nonce: int) -> int:
    """Return the first nonce that neither the chain nor a row of ours has used."""
    used = connection.execute(select(func.max(chain_tx.c.nonce)).where(chain_tx.c.signer == signer)).scalar()
    return chain_nonce if used is None else max(chain_nonce, int(used) + 1)


def attempts(connection: Connection, row_id: int) -> list[Row[Any]]:
    """Return every signed form of a row, newest first."""
    wanted = select(chain_tx_attempt).where(chain_tx_attempt.c.tx_id == row_id)
    return list(connection.execute(wanted.order_by(chain_tx_attempt.c.id.desc())))


def add_attempt(connection: Connection, row_id: int, tx: UnsignedTx, signed: SignedTx, now: int) -> dict[str, Any]:
    """Keep signed bytes; return the row's new values, which make them the ones to broadcast."""
    connection.execute(
        insert(chain_tx_attempt).values(
            tx_id=row_id,
            tx_hash=signed.hash,
            raw=signed.raw,
            max_fee=tx.max_fee,
            tip=tx.tip,
            made_at=now,
        )
    )
    return {"state": "signed", "nonce": tx.nonce, "gas_limit": tx.gas, "tx_hash": signed.hash}


def change(connection: Connection, row_id: int, **values: Any) -> Row[Any] | None:
    """Store new values; return the row if that changed its state or its error, None when it did not."""
    before = get(connection, row_id)
    if before is None or all(before._mapping[name] == value for name, value in values.items()):
        return None
    connection.execute(update(chain_tx).where(chain_tx.c.id == row_id).values(**values))
    after = get(connection, row_id)
    if after is None:
        return None
    changed = (before.state, before.error_code, before.tx_hash) != (
        after.state,
        after.error_code,
        after.tx_hash,
    )
    return after if changed else None
