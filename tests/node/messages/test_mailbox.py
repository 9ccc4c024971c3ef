"""Whatever way a message takes, and however often, it has one effect; a mailbox can withhold it and nothing worse."""

from __future__ import annotations

import asyncio
import secrets
from hashlib import sha256

import pytest

from halle_node.messages.collector import MAX_ROUNDS
from halle_node.messages.route import SECOND_COPY_S, Direct, Left, Look, Route, Shop, next_mailboxes, ways
from halle_node.p2p.types import Kept
from halle_protocol.errors import Refused, RemoteProtocolError, Unavailable
from halle_protocol.keys import address_of
from halle_protocol.mailbox import acknowledge
from halle_protocol.sealing import seal_envelope

from .conftest import NOW


@pytest.fixture
def pair(stores, make_box):
    """A sender, a recipient that names two mailboxes, and the mailboxes."""
    a, b = stores
    b.mailboxes += ["box-1", "box-2"]
    return a, b, make_box("box-1"), make_box("box-2")


def sealed(a, b, text="x", **given) -> bytes:
    return seal_envelope(a.write(b, text, **given).encode(), b.keys.store_address, b.prekey()).encode()


# --- the ways


def test_ways_go_to_the_recipient_first_and_then_to_what_was_left():
    route = Route("peer", (), "https://shop.example", ("m1", "m2"))
    left = [Left("m1", b"1" * 32, NOW - 10, NOW + 10), Left("m2", b"2" * 32, NOW - 10, NOW)]
    assert ways(route, left, NOW) == (Direct(), Shop(), Look(left[0]))
    assert ways(Route("", ()), [], NOW) == ()


def test_next_mailbox_gets_a_copy_when_the_first_is_lost_or_has_brought_nothing_for_an_hour():
    route = Route("peer", (), "", ("m1", "m2", "m1"))
    held = Left("m1", b"1" * 32, NOW, NOW + 86_400)
    assert next_mailboxes(route, [], [], NOW) == ("m1", "m2")
    assert next_mailboxes(route, [held], [], NOW) == ("m2", "m1")
    assert next_mailboxes(route, [held], [held], NOW) == ()
    assert next_mailboxes(route, [held], [held], NOW + SECOND_COPY_S) == ("m2",)


# --- a recipient that is away


async def test_message_waits_at_the_mailbox_and_is_acknowledged_when_both_were_never_awake_together(pair, wire):
    a, b, box, _ = pair
    wire.away.add("b")
    await a.send(b, a.write(b, "hello"))
    await a.service.deliver_due()
    [where] = a.row.waiting_at
    assert (a.row.state, where.mailbox, where.since) == ("queued", "box-1", NOW)
    assert a.service.outgoing_counts().left == 1
    wire.away.add("a")
    assert await b.service.collect() == 1
    assert (b.seen, box.use().letters) == (["hello"], 0)
    assert b.service.mailboxes()[0].collected == 1
    await a.retry()  # the recipient is away again: its signature waits where the envelope was
    assert (a.row.state, a.row.waiting_at) == ("acknowledged", ())


async def test_message_has_one_effect_when_it_comes_by_every_way(pair, wire):
    a, b, _, box_2 = pair
    b.shop_url = "https://shop.example"
    wire.shops[b.shop_url] = b.service
    wire.away |= {"b", b.shop_url, "box-1"}
    await a.send(b, a.write(b, "once"))
    await a.service.deliver_due()
    assert a.row.waiting_at[0].mailbox == "box-2"
    wire.away -= {"b", "box-1"}
    wire.lose_answers = 1  # taken directly, but the sender never hears of it
    await a.retry()
    wire.away.add("b")
    wire.away.discard(b.shop_url)
    await a.retry()  # taken by the shop, which signs
    assert a.row.state == "acknowledged"
    assert await b.service.collect() == 1
    assert (b.seen, box_2.use().letters) == (["once"], 0)


async def test_message_goes_by_the_shop_when_the_peer_is_away(pair, wire):
    a, b, box, _ = pair
    b.shop_url = "https://shop.example"
    wire.shops[b.shop_url] = b.service
    wire.away.add("b")
    await a.send(b, a.write(b, "by the door"))
    await a.service.deliver_due()
    assert (b.seen, a.row.state, box.use().letters) == (["by the door"], "acknowledged", 0)


async def test_answer_of_a_shop_counts_only_with_the_recipients_signature(pair, wire):
    a, b, box, _ = pair
    b.shop_url = "https://impostor.example"

    class Impostor:
        async def take(self, envelope, from_peer):
            key = secrets.token_bytes(32)
            return acknowledge(key, store=address_of(key), envelope=sha256(envelope).digest()).encode()

    wire.shops[b.shop_url] = Impostor()
    wire.away.add("b")
    await a.send(b, a.write(b, "mine"))
    await a.service.deliver_due()
    assert (a.row.state, box.use().letters) == ("queued", 1)


async def test_final_refusal_comes_back_through_the_mailbox(pair, wire):
    a, b, _, _ = pair

    def refuse(conn, message):
        raise Refused("Not for sale.", code="not-for-sale")

    b.service.register("chat", refuse)
    wire.away.add("b")
    await a.send(b, a.write(b, "sell me this"))
    await a.service.deliver_due()
    await b.service.collect()
    await a.retry()
    assert (a.row.state, a.row.error_code) == ("refused", "not-for-sale")


async def test_message_is_sealed_again_when_the_prekey_was_destroyed_meanwhile(pair, wire):
    a, b, _, _ = pair
    wire.away.add("b")
    await a.send(b, a.write(b, "sealed twice"))
    await a.service.deliver_due()
    old, b.keys.known = b.keys.known, {}
    await b.service.collect()
    b.keys.known = old
    await a.retry()
    assert (a.row.state, a.row.error_code, a.row.waiting_at) == ("queued", "prekey-unknown", ())
    await a.retry()
    await b.service.collect()
    await a.retry()
    assert (b.seen, a.row.state) == (["sealed twice"], "acknowledged")


async def test_envelope_stays_at_the_mailbox_when_the_recipient_is_in_trouble(pair, wire):
    a, b, box, _ = pair

    def full(conn, message):
        raise Unavailable("The disk is full.", code="disk-full")

    b.service.register("chat", full)
    wire.away.add("b")
    await a.send(b, a.write(b, "patient"))
    await a.service.deliver_due()
    assert await b.service.collect() == 0
    assert box.use().letters == 1
    b.service.register("chat", lambda conn, message: b.seen.append(message.body["text"]))
    assert await b.service.collect() == 1
    assert b.seen == ["patient"]


# --- a mailbox that is lost, lies or is full


async def test_second_mailbox_is_used_when_the_first_is_lost(pair, wire, clock):
    a, b, _, box_2 = pair
    wire.away.add("b")
    await a.send(b, a.write(b, "still here"))
    await a.service.deliver_due()
    wire.away.add("box-1")
    await a.retry()
    assert {each.mailbox for each in a.row.waiting_at} == {"box-1", "box-2"}
    await b.service.collect()
    await a.retry()
    assert (b.seen, a.row.state, box_2.use().letters) == (["still here"], "acknowledged", 0)


async def test_second_copy_is_left_when_a_mailbox_withholds(pair, wire, clock):
    a, b, _, box_2 = pair
    box_1 = wire.boxes["box-1"]

    class Withholding:
        def __getattr__(self, name):
            return getattr(box_1, name)

        async def letters(self, store):
            return [], False

    wire.boxes["box-1"] = Withholding()
    wire.away.add("b")
    await a.send(b, a.write(b, "withheld"))
    await a.service.deliver_due()
    assert await b.service.collect() == 0
    await a.retry()
    assert box_2.use().letters == 0
    clock.now += SECOND_COPY_S
    await a.retry()
    assert await b.service.collect() == 1
    assert b.seen == ["withheld"]


async def test_message_is_left_again_when_the_mailbox_forgot_it(pair, wire, clock):
    a, b, _, _ = pair
    wire.away.add("b")
    await a.send(b, a.write(b, "again"))
    await a.service.deliver_due()
    clock.now += 15 * 86_400
    await wire.boxes["box-1"].forget_expired()
    await a.retry()
    assert [each.since for each in a.row.waiting_at if each.until > clock.now] == [clock.now]
    await b.service.collect()
    assert b.seen == ["again"]


async def test_replayed_and_foreign_envelopes_have_no_effect(pair, wire):
    a, b, box, _ = pair
    mail = sealed(a, b, "once", id=b"i" * 16)
    await box.leave(mail, "sender")
    await b.service.collect()
    lies = [mail, sealed(b, a, "not for b"), b"\xff" * 90, mail]

    class Lying:
        async def letters(self, store):
            return list(lies), True

        async def settle(self, store, signed):
            return len(signed)

    wire.boxes["box-1"] = Lying()
    assert await b.service.collect() == MAX_ROUNDS * len(lies)  # a mailbox that never ends is left after so many
    assert b.seen == ["once"]


async def test_mailbox_cannot_claim_that_a_message_was_processed(pair, wire):
    a, b, box, box_2 = pair
    wire.away.add("b")
    await a.send(b, a.write(b, "really"))
    await a.service.deliver_due()
    key = secrets.token_bytes(32)
    [envelope], _ = await box.letters(b.keys.store_address)
    forged = acknowledge(key, store=b.keys.store_address, envelope=sha256(envelope).digest()).encode()
    assert await box.settle(b.keys.store_address, [forged, b"junk"]) == 0

    class Claiming:
        async def look(self, envelope_digest):
            return Kept(NOW + 100, forged)

    wire.boxes["box-1"] = Claiming()
    await a.retry()
    assert (a.row.state, box_2.use().letters) == ("queued", 1)  # who tells tales is not relied on


async def test_quota_of_sender_recipient_and_disk_hold(stores, make_box, clock):
    a, b = stores
    size = len(sealed(a, b)) + 1024
    for code, quotas in (
        ("quota-sender", {"sender_bytes": 2 * size}),
        ("quota-recipient", {"store_bytes": 2 * size}),
        ("mailbox-full", {"total_bytes": 2 * size}),
    ):
        box = make_box(code, **quotas)
        for _ in range(2):
            await box.leave(sealed(a, b), "sender")
        with pytest.raises(Unavailable) as full:
            await box.leave(sealed(a, b), "sender")
        assert full.value.code == code
        use = box.use()
        assert (use.letters, use.boxes[0].store) == (2, b.keys.store_address)
        clock.now += 14 * 86_400
        assert (await box.leave(sealed(a, b), "sender")).until > clock.now  # what is over its time makes room
        clock.now -= 14 * 86_400


async def test_next_mailbox_is_used_when_the_first_is_full(stores, make_box, wire):
    a, b = stores
    b.mailboxes += ["small", "large"]
    make_box("small", store_bytes=4096)
    large = make_box("large")
    wire.away.add("b")
    await a.send(b, a.write(b, "fits there"))
    await a.service.deliver_due()
    assert (a.row.waiting_at[0].mailbox, large.use().letters) == ("large", 1)


async def test_the_same_envelope_is_kept_once(pair):
    a, b, box, _ = pair
    mail = sealed(a, b)
    first, second = await box.leave(mail, "sender"), await box.leave(mail, "other")
    assert (first, box.use().letters) == (second, 1)


async def test_mail_is_kept_only_for_stores_that_are_served(pair, make_box, wire):
    a, b, box, _ = pair
    box._serves = lambda store: False
    with pytest.raises(Refused) as refused:
        await box.leave(sealed(a, b), "sender")
    assert refused.value.code == "mailbox-not-served"
    with pytest.raises(RemoteProtocolError):
        await box.leave(b"junk", "sender")


async def test_unreachable_mailbox_is_shown_with_its_reason(pair, wire):
    _, b, _, _ = pair
    wire.away.add("box-2")
    await b.service.collect()
    first, second = b.service.mailboxes()
    assert (first.error_code, second.error_code) == ("", "peer-unreachable")
    assert first.asked_at == second.asked_at == NOW


async def test_recipient_that_is_slow_keeps_no_other_message_waiting(make_store, wire):
    a, slow, quick = make_store("a"), make_store("slow"), make_store("quick")
    hanging = asyncio.Event()

    class Slow:
        async def receive(self, envelope, peer):
            hanging.set()
            await asyncio.Event().wait()

    wire.peers["slow"] = Slow()
    await a.send(slow, a.write(slow, "stuck"))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(a.service.run())
        await hanging.wait()
        await a.send(quick, a.write(quick, "through"))
        async with asyncio.timeout(10):
            while quick.seen != ["through"]:
                await asyncio.sleep(0)
        task.cancel()
