"""Messages: sent until acknowledged, taken in once, never lost and never in the way of others."""

from __future__ import annotations

import asyncio
import logging

import pytest

from halle_node.messages import Early, inbox, outbox
from halle_node.messages.backoff import LONGEST_WAIT_MS, wait_ms
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.sealing import Envelope, seal_envelope


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_message_is_acknowledged_after_it_was_processed(stores):
    a, b = stores
    await a.send(b, a.write(b, "hello"))
    assert a.service.outgoing()[0].state == "queued"
    assert await a.service.deliver_due() == 1
    assert b.seen == ["hello"]
    assert a.service.outgoing()[0].state == "acknowledged"
    assert await a.service.deliver_due() == 0


async def test_message_is_not_queued_when_the_business_change_fails(stores):
    a, b = stores
    message = a.write(b, "never")

    def change(conn):
        a.service.send(conn, message, b.prekey(), __import__("halle_node.messages").messages.Route("b", ()))
        raise Refused("no", code="no")

    with pytest.raises(Refused):
        await a.db.write(change)
    assert a.service.outgoing() == []


async def test_run_delivers_what_is_sent_later(stores):
    a, b = stores
    async with asyncio.TaskGroup() as group:
        task = group.create_task(a.service.run())
        await a.send(b, a.write(b, "one"))
        await until(lambda: b.seen == ["one"])
        await a.send(b, a.write(b, "two"))
        await until(lambda: b.seen == ["one", "two"])
        task.cancel()


async def test_message_waits_while_the_peer_is_away_and_leaves_when_it_is_heard(stores, wire):
    a, b = stores
    wire.down = True
    await a.send(b, a.write(b, "later"))
    await a.service.deliver_due()
    [row] = a.service.outgoing()
    assert (row.state, row.attempts, row.error_code) == ("queued", 1, "peer-unreachable")
    wire.down = False
    assert await a.service.deliver_due() == 0  # its time has not come
    a.service.hasten(b.keys.store_address)
    await a.service.deliver_due()
    assert b.seen == ["later"]


async def test_message_has_one_effect_when_the_acknowledgement_is_lost(stores, wire):
    a, b = stores
    wire.lose_answers = 2
    await a.send(b, a.write(b, "once"))
    for _ in range(3):
        a.service.hasten()
        await a.service.deliver_due()
    assert len(wire.sent) == 3
    assert b.seen == ["once"]
    assert a.service.outgoing()[0].state == "acknowledged"


async def test_other_content_under_a_used_id_is_refused(stores):
    a, b = stores
    first = a.write(b, "first", id=b"i" * 16)
    await a.send(b, first)
    await a.service.deliver_due()
    second = seal_envelope(a.write(b, "second", id=b"i" * 16).encode(), b.keys.store_address, b.prekey())
    with pytest.raises(Refused) as refused:
        await b.service.receive(second.encode())
    assert refused.value.code == "message-id-reused"
    assert b.seen == ["first"]


async def test_sender_is_told_when_the_prekey_was_destroyed_and_seals_again(stores):
    a, b = stores
    old = dict(b.keys.known)
    b.keys.known.clear()
    await a.send(b, a.write(b, "sealed"))
    await a.service.deliver_due()
    [row] = a.service.outgoing()
    assert (row.state, row.error_code) == ("queued", "prekey-unknown")
    assert b.service.quarantine()[0].error_code == "prekey-unknown"
    b.keys.known = old
    a.service.hasten()
    await a.service.deliver_due()
    assert b.seen == ["sealed"]


async def test_newest_prekey_is_used_when_the_directory_knows_one(stores, make_store):
    a, b = stores
    message = a.write(b, "fresh")
    fresh = make_store("other").keys
    await a.send(b, message)
    b.keys.known = dict(fresh.known)
    from halle_node.messages.route import Destination, Route

    a.service.use_directory(lambda recipient: Destination(Route("b", ()), fresh.prekey))
    await a.service.deliver_due()
    assert b.seen == ["fresh"]


async def test_early_message_is_parked_acknowledged_and_replayed(stores):
    a, b = stores
    ready = False

    def handler(conn, message):
        if not ready:
            raise Early
        b.seen.append(message.body["text"])

    b.service.register("chat", handler)
    await a.send(b, a.write(b, "early", thread=b"t" * 32))
    await a.service.deliver_due()
    assert a.service.outgoing()[0].state == "acknowledged"
    assert b.service.inbound_counts().parked == 1
    ready = True
    assert await b.db.write(lambda conn: b.service.replay(conn, b"t" * 32)) == 1
    assert b.seen == ["early"]
    assert await b.db.write(lambda conn: b.service.replay(conn, b"t" * 32)) == 0


async def test_parked_messages_of_one_sender_are_bounded(stores, monkeypatch):
    a, b = stores
    monkeypatch.setattr(inbox, "MAX_PARKED_PER_SENDER", 2)

    def never(conn, message):
        raise Early

    b.service.register("chat", never)
    for number in range(3):
        await a.send(b, a.write(b, str(number)))
    await a.service.deliver_due()
    assert b.service.inbound_counts().parked == 2
    assert [row.error_code for row in a.service.outgoing()].count("parked-full") == 1


async def test_refused_message_leaves_no_trace_but_the_reason(stores):
    a, b = stores
    told: list[str] = []

    def refuse(conn, message):
        outbox.add(conn, b.write(a, "half done"), _destination(a), 0)
        raise Refused("Not for sale.", code="not-for-sale")

    b.service.register("chat", refuse)
    b.service.on_refusal(lambda conn, message, error: told.append(error.code))
    await a.send(b, a.write(b, "sell me this"))
    await a.service.deliver_due()
    assert told == ["not-for-sale"]
    assert b.service.outgoing() == []
    assert b.service.quarantine()[0].error_code == "not-for-sale"
    assert (a.service.outgoing()[0].state, a.service.outgoing()[0].error_code) == ("refused", "not-for-sale")


async def test_poison_does_not_stop_the_next_message_nor_log_an_error(stores, caplog):
    a, b = stores
    caplog.set_level(logging.INFO)

    def fragile(conn, message):
        if message.body["text"] == "poison":
            raise KeyError("defect")
        b.seen.append(message.body["text"])

    b.service.register("chat", fragile)
    await a.send(b, a.write(b, "poison"))
    await a.send(b, a.write(b, "fine"))
    await a.service.deliver_due()
    assert b.seen == ["fine"]
    assert b.service.quarantine()[0].error_code == "processing-failed"
    assert [row.error_code for row in a.service.outgoing() if row.state == "queued"] == ["processing-failed"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_poison_is_processed_once_the_defect_is_gone(stores):
    a, b = stores
    broken = True

    def handler(conn, message):
        if broken:
            raise ValueError("defect")
        b.seen.append(message.body["text"])

    b.service.register("chat", handler)
    await a.send(b, a.write(b, "patient"))
    await a.service.deliver_due()
    broken = False
    a.service.hasten()
    await a.service.deliver_due()
    assert b.seen == ["patient"]
    assert b.service.inbound_counts().quarantined == 0


async def test_owner_tries_a_message_again_that_was_set_aside(stores):
    """Its sender was refused for good and sends it no more."""
    a, b = stores
    refusing = True

    def handler(conn, message):
        if refusing:
            raise Refused("Not for sale.", code="not-for-sale")
        b.seen.append(message.body["text"])

    b.service.register("chat", handler)
    await a.send(b, a.write(b, "please"))
    await a.service.deliver_due()
    assert a.service.outgoing()[0].state == "refused"
    assert a.service.waiting() == a.service.outgoing()
    [aside] = b.service.quarantine()
    with pytest.raises(Refused) as still:
        await b.service.retry_quarantined(aside.sender, aside.message_id)
    assert still.value.code == "not-for-sale"
    refusing = False
    await b.service.retry_quarantined(aside.sender, aside.message_id)
    assert b.seen == ["please"]
    assert b.service.quarantine() == []
    with pytest.raises(Refused) as gone:
        await b.service.retry_quarantined(aside.sender, aside.message_id)
    assert gone.value.code == "message-unknown"
    assert b.seen == ["please"]


async def test_waiting_message_says_why_and_when_it_is_tried_next(stores, wire):
    a, b = stores
    wire.down = True
    await a.send(b, a.write(b, "later"))
    assert [(each.attempts, each.next_at) for each in a.service.waiting()] == [(0, 0)]
    await a.service.deliver_due()
    [row] = a.service.waiting()
    assert (row.error_code, row.attempts) == ("peer-unreachable", 1)
    assert row.next_at > 0
    wire.down = False
    a.service.hasten()
    await a.service.deliver_due()
    assert a.service.waiting() == []


@pytest.mark.parametrize("damage", ["garbage", "other-store", "wrong-signer", "flipped", "oversized"])
async def test_bad_envelope_is_refused_and_visible(stores, damage):
    a, b = stores
    message = a.write(b, "x")
    to = b.keys.store_address
    if damage == "garbage":
        data = b"\xff" * 100
    elif damage == "oversized":
        data = bytes(300_000)
    elif damage == "other-store":
        data = seal_envelope(message.encode(), a.keys.store_address, b.prekey()).encode()
    elif damage == "wrong-signer":
        forged = b.write(b, "x").__class__(**{**message.__dict__, "sig": b.write(b, "x").sig})
        data = seal_envelope(forged.encode(), to, b.prekey()).encode()
    else:
        sealed = seal_envelope(message.encode(), to, b.prekey())
        data = Envelope(to, sealed.prekey_id, sealed.ciphertext[:-1] + b"\x00\x00").encode()
    with pytest.raises(RemoteProtocolError):
        await b.service.receive(data, "peer")
    assert b.seen == []
    assert b.service.quarantine()[0].from_peer == "peer"


async def test_poison_envelopes_are_bounded(stores, monkeypatch):
    _, b = stores
    monkeypatch.setattr(inbox, "MAX_POISON", 3)
    for number in range(6):
        with pytest.raises(HalleError):
            await b.service.receive(bytes([number]) * 50, "peer")
    assert b.service.inbound_counts().poisoned == 3


async def test_queued_messages_are_bounded(stores, monkeypatch):
    a, b = stores
    monkeypatch.setattr(outbox, "MAX_QUEUED", 1)
    await a.send(b, a.write(b, "one"))
    with pytest.raises(Refused) as refused:
        await a.send(b, a.write(b, "two"))
    assert refused.value.code == "outbox-full"


async def test_own_trouble_is_not_the_messages_fault(stores):
    a, b = stores

    def full(conn, message):
        raise Unavailable("The disk is full.", code="disk-full")

    b.service.register("chat", full)
    await a.send(b, a.write(b, "x"))
    await a.service.deliver_due()
    assert b.service.inbound_counts().quarantined == 0
    assert (a.service.outgoing()[0].state, a.service.outgoing()[0].error_code) == ("queued", "disk-full")


def test_wait_doubles_to_a_cap_and_is_spread():
    assert [wait_ms(n, lambda: 0.0) for n in (1, 2, 3)] == [250, 500, 1000]
    assert wait_ms(1_000, lambda: 0.999999) <= LONGEST_WAIT_MS
    assert wait_ms(3, lambda: 0.0) < wait_ms(3, lambda: 0.9)


def _destination(store):
    from halle_node.messages.route import Destination, Route

    return Destination(Route(store.name, ()), store.prekey())
