"""A node that pays a list of people once each, in a process made to be killed.

Run: python outbox_worker.py DATABASE RPC_URL COUNT. Prints `paid` at each final payment and `done` at the end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from sqlalchemy import Connection, text

from halle_contracts import encode_call
from halle_node.chain import ChainClient, Outbox, TxStatus
from halle_node.db import open_database
from halle_protocol.keys import address_of, keccak256

KEYS = [keccak256(b"worker %d" % number) for number in range(2)]
SIGNERS = {address_of(key): key for key in KEYS}
AT_ONCE = 4


def payee(number: int) -> bytes:
    return keccak256(b"payee %d" % number)[12:]


async def main(database: Path, url: str, count: int) -> None:
    db = open_database(database)
    db.write_blocking(lambda c: c.execute(text("CREATE TABLE IF NOT EXISTS owed (n INTEGER PRIMARY KEY)")))
    client = ChainClient(url)
    await client.connect()
    outbox = Outbox(db, client, SIGNERS, clock=lambda: int(time.time()))
    token = client.contracts.address_of("tEUR")

    def owe_more(connection: Connection) -> None:
        begun = int(connection.execute(text("SELECT count(*) FROM owed")).scalar_one())
        for number in range(begun, min(begun + AT_ONCE, count)):
            connection.execute(text("INSERT INTO owed VALUES (:n)"), {"n": number})
            outbox.enqueue(
                connection,
                signer=list(SIGNERS)[number % len(SIGNERS)],
                to=token,
                data=encode_call("TestToken", "mint", payee(number), 1),
                purpose="pay",
                ref=number.to_bytes(16, "big"),
            )

    def told(connection: Connection, status: TxStatus) -> None:
        if status.state == "final":
            print("paid", flush=True)

    outbox.subscribe(told)
    while True:
        await db.write(owe_more)
        unfinished = await outbox.step()
        owed = db.read(lambda c: c.execute(text("SELECT count(*) FROM owed")).scalar_one())
        if not unfinished and owed == count:
            break
    print("done", flush=True)
    await client.close()
    db.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
