"""Heads: the highest wins, liars are kept as such, floods cost little."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halle_node.index.admission import MAX_BUCKETS, STORE, Admission, Lane, TokenBucket
from halle_node.index.ledger import Ledger, Standing
from halle_node.p2p.types import Verdict
from halle_protocol.errors import RemoteProtocolError
from halle_protocol.head import Announcement
from node.index.hall import DAY, NOW, Hall, Listener, Merchant, open_listener


def test_validate_accepts_a_good_head_and_ignores_it_the_second_time(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    frame = merchant.frame()
    assert listener.index.validate(frame, "x") is Verdict.ACCEPT


async def test_validate_ignores_what_is_known_or_old(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    first, second = merchant.frame(), merchant.frame()
    await listener.index.ingest_head(second, "peer1")
    assert listener.index.validate(second, "x") is Verdict.IGNORE
    assert listener.index.validate(first, "x") is Verdict.IGNORE


@pytest.mark.parametrize("frame", [b"", b"\xa0", b"\xff" * 100, bytes(1_025), b"\xa2ehead\x40egrant\xf6"])
def test_validate_rejects_garbage(listener: Listener, frame: bytes) -> None:
    assert listener.index.validate(frame, "x") is Verdict.REJECT


@given(data=st.binary(max_size=1_100))
def test_ledger_never_raises_anything_but_protocol_errors(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        Announcement.decode(data).open()


def test_validate_rejects_a_forged_signature(listener: Listener) -> None:
    merchant, thief = Merchant(1), Merchant(2)
    merchant.introduce("A")
    merchant.operator_key = thief.operator_key
    frame = bytearray(merchant.frame())
    frame[-1] ^= 1
    assert listener.index.validate(bytes(frame), "x") is Verdict.REJECT


def test_validate_ignores_other_times(listener: Listener) -> None:
    merchant = Merchant(1)
    merchant.introduce("A")
    assert listener.index.validate(merchant.frame(issued=NOW + DAY), "x") is Verdict.IGNORE
    assert listener.index.validate(merchant.frame(issued=NOW - 40 * DAY), "x") is Verdict.IGNORE


async def test_lower_seq_never_replaces_a_higher_one(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("Old")
    old = merchant.frame()
    merchant.introduce("New")
    await listener.index.ingest_head(merchant.frame(), "peer1")
    await listener.index.ingest_head(old, "peer1")
    view = listener.index.store(merchant.store)
    assert view is not None
    assert (view.name, view.seq) == ("New", 2)


async def test_two_stories_of_one_seq_are_kept_and_shown(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("One")
    first = merchant.frame()
    merchant.introduce("Other")
    second = merchant.frame(seq=1)
    await listener.index.ingest_head(first, "peer1")
    assert listener.index.validate(second, "x") is Verdict.ACCEPT  # others should see the proof too
    await listener.index.ingest_head(second, "peer1")
    assert listener.index.equivocation(merchant.store) == (first, second)
    view = listener.index.store(merchant.store)
    assert view is not None
    assert view.equivocates
    assert view.name == "One"


async def test_revoked_grant_counts_no_more(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    merchant.grant_sequence = 5
    await listener.index.ingest_head(merchant.frame(), "peer1")
    merchant.grant_sequence = 4
    stolen = merchant.frame()
    assert listener.index.validate(stolen, "x") is Verdict.REJECT
    with pytest.raises(RemoteProtocolError):
        await listener.index.ingest_head(stolen, "peer1")


async def test_heads_survive_a_restart_and_are_offered(tmp_path: Path, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    async with open_listener(tmp_path, hall) as listener:
        frame = merchant.frame()
        await listener.index.ingest_head(frame, "peer1")
    async with open_listener(tmp_path, hall) as listener:
        (item,) = listener.index.head_items()
        assert item.id == Announcement.decode(frame).open()[0].cid.digest
        assert listener.index.head_frames([item.id, bytes(32)]) == [frame]
        assert listener.index.validate(frame, "x") is Verdict.IGNORE


async def test_new_head_replaces_the_old_one_in_the_set(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    for _ in range(3):
        await listener.index.ingest_head(merchant.frame(), "peer1")
    assert len(listener.index.head_items()) == 1


def test_expired_heads_are_offered_no_more() -> None:
    merchant = Merchant(1)
    merchant.introduce("A")
    ledger = Ledger()
    head, grant = Announcement.decode(merchant.frame()).open()
    assert ledger.accept(head, grant) is Standing.NEW
    assert ledger.drop_expired(head.expires - 1) == 0
    assert ledger.drop_expired(head.expires) == 1
    assert len(ledger.items()) == 0
    assert ledger.standing(head) is Standing.KNOWN


def test_bucket_refills_with_time() -> None:
    bucket = TokenBucket(rate=1.0, burst=2.0, at=0.0)
    assert [bucket.take(0.0), bucket.take(0.0), bucket.take(0.0)] == [True, True, False]
    assert bucket.take(1.0)
    assert not bucket.take(0.5)  # a clock that goes back gives nothing


def test_one_store_cannot_flood() -> None:
    admission = Admission(lambda: 0.0, max_strangers=10)
    passed = sum(admission.admit(b"s" * 20, Lane.KNOWN, population=1) for _ in range(1_000))
    assert passed == STORE.burst


def test_strangers_share_a_budget_and_other_lanes_pass() -> None:
    admission = Admission(lambda: 0.0, max_strangers=10)
    assert admission.admit(b"a" * 20, Lane.STRANGER, population=9)
    assert not admission.admit(b"b" * 20, Lane.STRANGER, population=10)
    passed = sum(admission.admit(i.to_bytes(20, "big"), Lane.STRANGER, population=0) for i in range(30_000))
    assert passed < 6_000
    assert len(admission._stores) <= MAX_BUCKETS
    for number, lane in enumerate(set(Lane) - {Lane.STRANGER}):
        assert admission.admit(bytes([number]) * 20, lane, population=10), lane


async def test_background_work_fetches_and_makes_findable(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.introduce("A")
    merchant.list("blue", "Chemise bleue")
    heard: list[bytes] = []
    listener.index.subscribe(heard.append)
    work = asyncio.create_task(listener.index.run())
    async with asyncio.timeout(10):
        await listener.index.on_head(merchant.frame(), "peer1")
        while not listener.titles("chemise"):
            await asyncio.sleep(0.02)
    assert heard == [merchant.store]
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def test_bad_head_from_a_peer_costs_nothing(listener: Listener) -> None:
    await listener.index.on_head(b"garbage", "x")
    assert listener.index.stats()["stores"] == 0
