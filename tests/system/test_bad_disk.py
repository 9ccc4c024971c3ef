"""A shop whose disk is full, read-only or failing: it takes nothing new, says why, and keeps what it acknowledged."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest

from halle_cli.demo.trading import Deal, has_quote, is_paying
from halle_protocol.errors import HalleError, Unavailable
from system.bad_disk import CODES, KINDS, BadDisk
from system.calm import assert_calm
from system.hall import SHIRT, Hall

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

# Spread over what taking in a request, quoting it and sending the quote write.
MOMENTS = (0, 1, 3, 5, 8, 13)


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """One market for all tests here: opening it costs more than they do."""
    opened = Hall(tmp_path_factory.mktemp("bad-disk"))
    try:
        opened.open()
        opened.merchant.api.post("/products/chemise-bleue/stock", {"on_hand": 100})
        yield opened
        assert_calm(opened.merchant.log, opened.buyer.log)
    finally:
        opened.close()
        opened.show_logs()


@pytest.fixture
def disk(hall: Hall) -> BadDisk:
    """The disk that the shop lives on."""
    made = BadDisk(hall.folder)
    restart(hall, made)
    return made


def restart(hall: Hall, disk: BadDisk) -> None:
    """Kill the shop, and start it again on the same disk."""
    hall.merchant.kill()
    with disk.under(hall.merchant):
        hall.merchant.start()


def acknowledged(hall: Hall, deal: Deal) -> bool:
    """Say whether the shop has told the buyer that it has the request."""
    with closing(sqlite3.connect(f"file:{hall.buyer.home / 'halle.db'}?mode=ro", uri=True)) as kept:
        query = "SELECT state FROM message_outbox WHERE message_id = ?"
        [state] = kept.execute(query, (bytes.fromhex(deal.key),)).fetchone()
    return bool(state == "acknowledged")


def test_failing_disk_is_told_takes_nothing_and_loses_nothing(hall: Hall, disk: BadDisk) -> None:
    products = hall.merchant.api.get("/products")["total"]
    for number, kind in enumerate(KINDS):
        before, second = hall.quoted(), {**SHIRT, "handle": f"second-{kind}"}
        with disk.fails(kind):
            with pytest.raises(Unavailable) as told:
                hall.merchant.api.post("/products", second)
            assert told.value.code in CODES
            assert told.value.hint
            assert hall.merchant.api.get("/products")["total"] == products + number  # what is there can be read
            before.move(hall.buyer, "approve")
            meanwhile = hall.ask()
            before.reaches(hall.buyer, "the buyer sees the payment", is_paying("escrowed"))
            assert meanwhile.at(hall.merchant) is None
            assert not acknowledged(hall, meanwhile)
        before.reaches(hall.merchant, "the shop sees the payment", is_paying("escrowed"))
        meanwhile.reaches(hall.buyer, "the request that waited is quoted", has_quote)
        hall.merchant.api.post("/products", second)
        restart(hall, disk)
        assert before.may(hall.merchant, "ship")
        assert meanwhile.at(hall.merchant)
        assert hall.merchant.api.get("/products")["total"] == products + number + 1
    refuses_to_start(hall, disk)


def refuses_to_start(hall: Hall, disk: BadDisk) -> None:
    """A node does not begin on a disk it cannot write, says so, and begins when it can."""
    hall.merchant.stop()
    with disk.fails("readonly"), disk.under(hall.merchant), pytest.raises(HalleError):
        hall.merchant.start()
    assert "Read-only file system" in hall.merchant.log.read_text(errors="replace")[-500:]
    with disk.under(hall.merchant):
        hall.merchant.start()
    assert hall.merchant.api.get("/orders")["orders"]


def test_what_was_acknowledged_is_there_whichever_write_fails(hall: Hall, disk: BadDisk) -> None:
    """The disk fails at another write each time; then it is well again, or the shop is killed on the spot."""
    rng, deals = Random(3), []
    for after in MOMENTS:
        with disk.fails(rng.choice(KINDS), after):
            deal = hall.ask()
            deals.append(deal)
            ends = time.monotonic() + 2.0
            while time.monotonic() < ends and not acknowledged(hall, deal):
                time.sleep(0.05)
            was_acknowledged = acknowledged(hall, deal)
            if rng.random() < 0.4:
                hall.merchant.kill()
        if hall.merchant.process is not None and hall.merchant.process.poll() is not None:
            restart(hall, disk)
        if was_acknowledged:
            assert deal.at(hall.merchant), after
    for deal in deals:
        deal.reaches(hall.buyer, "a signed quote comes back", has_quote)
    restart(hall, disk)
    for deal in deals:
        assert deal.at(hall.merchant)
