from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halle_protocol import reconcile
from halle_protocol.errors import LocalProtocolError, RemoteProtocolError
from halle_protocol.reconcile import Item, ItemSet, absorb, initiate, respond


class Exchange:
    """One whole reconciliation of two sets, and what it cost."""

    def __init__(self, ours: ItemSet, theirs: ItemSet, max_message_bytes: int = 65536) -> None:
        self.have: set[bytes] = set()
        self.need: set[bytes] = set()
        self.rounds = self.bytes = 0
        message: bytes | None = initiate(ours, max_message_bytes=max_message_bytes)
        while message is not None:
            answer = respond(theirs, message, max_message_bytes=max_message_bytes)
            assert max(len(message), len(answer)) <= max_message_bytes
            self.rounds += 1
            self.bytes += len(message) + len(answer)
            message, have, need = absorb(ours, answer, max_message_bytes=max_message_bytes)
            self.have.update(have)
            self.need.update(need)
            assert self.rounds < 1000


def items(count: int, seed: int = 5, spread_s: int = 3) -> list[Item]:
    chance = random.Random(seed)
    return [Item(1_700_000_000 + i * spread_s, chance.randbytes(32)) for i in range(count)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 1500),
    st.sampled_from([0, 1, 3]),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([4096, 8192, 65536]),
    st.integers(0, 2**32),
)
def test_reconcile_finds_exactly_the_difference(
    count: int, spread_s: int, ours_share: float, theirs_share: float, limit: int, seed: int
) -> None:
    chance = random.Random(seed)
    pool = items(count, seed, spread_s)
    ours = {item for item in pool if chance.random() < ours_share}
    theirs = {item for item in pool if chance.random() < theirs_share}
    exchange = Exchange(ItemSet(ours), ItemSet(theirs), limit)
    assert exchange.have == {item.id for item in ours - theirs}
    assert exchange.need == {item.id for item in theirs - ours}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 40)), max_size=80))
def test_item_set_behaves_like_a_set(edits: list[tuple[bool, int, int]]) -> None:
    edited, model = ItemSet(), set()
    for add, timestamp, number in edits:
        item = Item(timestamp, bytes((number,)) * 32)
        (edited.add if add else edited.discard)(item)
        (model.add if add else model.discard)(item)
        assert (item in edited) == (item in model)
    assert list(edited) == sorted(model)
    assert len(edited) == len(model)
    assert edited.fingerprint() == ItemSet(model).fingerprint()


def test_item_set_keeps_its_fingerprints_over_many_edits() -> None:
    pool = items(3000)
    chance = random.Random(1)
    edited = ItemSet()
    for item in chance.sample(pool, len(pool)):
        edited.add(item)
    for item in pool[::3]:
        edited.discard(item)
    rest = [item for i, item in enumerate(pool) if i % 3]
    assert list(edited) == rest
    for start, end in ((0, 0), (0, 2000), (1, 1999), (700, 701), (255, 1300)):
        assert edited.fingerprint(start, end) == ItemSet(rest[start:end]).fingerprint()


def test_item_set_copy_is_not_reached_by_later_edits() -> None:
    pool = items(1000)
    first = ItemSet(pool[:900])
    snapshot = first.copy()
    for item in pool[900:]:
        first.add(item)
    first.discard(pool[0])
    assert list(snapshot) == pool[:900]
    assert list(first) == pool[1:]


def test_reconcile_of_equal_sets_is_one_short_round() -> None:
    pool = items(100_000)
    exchange = Exchange(ItemSet(pool), ItemSet(pool))
    assert (exchange.rounds, exchange.have, exchange.need) == (1, set(), set())
    assert exchange.bytes <= 1024


def test_reconcile_finds_the_1000_newest_in_few_rounds_and_bytes() -> None:
    pool = items(100_000)
    both = Exchange(ItemSet(pool[:-500]), ItemSet(pool[:-1000] + pool[-500:]))
    assert (len(both.have), len(both.need)) == (500, 500)
    assert both.rounds <= 5
    assert both.bytes <= 30_000
    behind = Exchange(ItemSet(pool[:-1000]), ItemSet(pool))
    assert len(behind.need) == 1000
    assert behind.rounds <= 5
    assert behind.bytes <= 1000 * 32 + 4096  # the ids themselves are 32,000 bytes
    ahead = Exchange(ItemSet(pool), ItemSet(pool[:-1000]))
    assert len(ahead.have) == 1000
    assert ahead.bytes <= 4096


def test_reconcile_handles_ids_that_differ_in_their_last_byte() -> None:
    pool = [Item(7, bytes(31) + bytes((i,))) for i in range(256)]
    exchange = Exchange(ItemSet(pool[::2]), ItemSet(pool[1::2]))
    assert exchange.need == {item.id for item in pool[1::2]}


def test_reconcile_takes_the_largest_timestamp() -> None:
    last = Item(reconcile.MAX_TIMESTAMP, b"\xff" * 32)
    assert Exchange(ItemSet([last]), ItemSet()).have == {last.id}
    assert Exchange(ItemSet(), ItemSet([*items(40), last])).need >= {last.id}


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(1, 255))
def test_reconcile_answers_or_refuses_damaged_messages(noise: bytes, at: int, flip: int) -> None:
    ours = ItemSet(items(200))
    damaged = bytearray(initiate(ours))
    damaged[at % len(damaged)] ^= flip
    codes = set()
    for message in (b"\x61" + noise, noise, bytes(damaged), bytes(damaged)[: at % len(damaged)]):
        for step in (respond, absorb):
            try:
                step(ours, message)
            except RemoteProtocolError as refusal:
                codes.add(refusal.code)
    assert codes <= {"sync-malformed", "sync-version"}


@pytest.mark.parametrize(
    "item", [Item(-1, bytes(32)), Item(2**64 - 1, bytes(32)), Item(1, bytes(31)), Item(1, bytes(33))]
)
def test_item_set_refuses_an_item(item: Item) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        ItemSet([item])
    assert caught.value.code == "sync-item"


@pytest.mark.parametrize("limit", [0, 4095, 65537])
def test_reconcile_refuses_a_message_limit(limit: int) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        initiate(ItemSet(), max_message_bytes=limit)
    assert caught.value.code == "sync-limit"


MILLION = 1_000_000


@pytest.fixture(scope="module")
def million() -> ItemSet:
    return ItemSet(items(MILLION + 1000))


def without_newest(all_items: ItemSet, count: int) -> ItemSet:
    """A node that was away while the newest came."""
    fewer = all_items.copy()
    for item in items(MILLION + 1000)[-count:]:
        fewer.discard(item)
    return fewer


def test_million_heads_in_step_cost_one_round(million: ItemSet) -> None:
    exchange = Exchange(million, million.copy())
    print(f"1M in step: {exchange.rounds} round, {exchange.bytes} bytes")
    assert (exchange.rounds, exchange.have, exchange.need) == (1, set(), set())
    assert exchange.bytes <= 1024


@pytest.mark.timeout(240)
def test_thousand_newest_of_a_million_are_found_in_few_bytes(million: ItemSet) -> None:
    behind = without_newest(million, 1000)
    asks, is_asked = Exchange(behind, million), Exchange(million, behind)
    of_ids = 1000 * 32
    print(
        f"1M, 1,000 newest missing: asker {asks.rounds} rounds, {asks.bytes} bytes, {of_ids} of them ids; "
        f"answerer {is_asked.rounds} rounds, {is_asked.bytes} bytes"
    )
    assert len(asks.need) == len(is_asked.have) == 1000
    assert max(asks.rounds, is_asked.rounds) <= 5
    assert asks.bytes - of_ids <= 30_000
    assert is_asked.bytes <= 30_000


def test_dearest_message_is_answered_within_the_limit(million: ItemSet) -> None:
    """As many fingerprints as fit in one message, all of them false: each is split, and the answer still fits."""
    chance = random.Random(1)
    bounds = sorted({chance.randrange(1_700_000_000, 1_703_000_000) for _ in range(2000)})
    message, before = bytearray((0x61,)), 0
    for bound in bounds:
        message += reconcile._varint(bound - before + 1) + b"\0\1" + bytes(16)
        before = bound
    answer = respond(million, bytes(message))
    assert len(answer) <= 65_536
