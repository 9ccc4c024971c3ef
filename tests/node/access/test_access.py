"""The operator's list: what a rule is about, which one holds, and that it is kept and can be taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from halle_node.access import AccessList, parse_subject
from halle_node.db import Database, open_database
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import to_checksum
from node.index.hall import Hall, open_listener

PEER = "12D3KooWGCyS8gmm9gYyy4D6ZHe6oVnV9w6GFdR2rfAKtv3aE3Cw"
STORE = to_checksum(bytes(range(20)))


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(tmp_path / "node.db")
    yield opened
    opened.close()


def rules(db: Database) -> AccessList:
    return AccessList(db, lambda: 7)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        (f" {PEER} ", "peer", PEER),
        (STORE.lower(), "store", STORE),
        ("203.0.113.7", "net", "203.0.113.7"),
        ("203.0.113.9/24", "net", "203.0.113.0/24"),
        ("2001:DB8::1", "net", "2001:db8::1"),
    ],
)
def test_subject_is_read_in_its_normal_form(text: str, kind: str, name: str) -> None:
    assert parse_subject(text) == (kind, name)


@pytest.mark.parametrize("text", ["", "example.org", "0x12", "300.1.1.1", "12D3Koo", "1.2.3.4/99"])
def test_subject_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(HalleError) as caught:
        parse_subject(text)
    assert caught.value.code in ("access-subject", "bad-peer-id")


async def test_most_specific_rule_about_an_address_holds_and_allowing_wins_a_tie(db: Database) -> None:
    access = rules(db)
    await access.add("203.0.113.0/24", allows=False)
    await access.add("203.0.113.7", allows=True)
    assert [access.ip(ip) for ip in ("203.0.113.7", "203.0.113.8", "::ffff:203.0.113.8", "198.51.100.1", "")] == [
        True,
        False,
        False,
        None,
        None,
    ]
    await access.add("0.0.0.0/0", allows=False)
    assert access.ip("198.51.100.1") is False


async def test_rule_is_kept_replaced_and_taken_back(db: Database) -> None:
    access = rules(db)
    heard: list[int] = []
    access.subscribe(lambda: heard.append(1))
    await access.add(PEER, allows=False, note="  spam \n again ")
    assert rules(db).is_blocked(PEER)
    assert rules(db).listing()[0].note == "spam again"
    await access.add(PEER, allows=True)
    assert (access.is_blocked(PEER), access.is_exempt(PEER)) == (False, True)
    with pytest.raises(Refused, match="not blocked"):
        await access.remove(PEER, allows=False)
    await access.remove(PEER, allows=True)
    assert (access.is_exempt(PEER), access.listing(), len(heard)) == (False, [], 3)


async def test_node_cannot_be_made_to_block_itself(db: Database) -> None:
    with pytest.raises(Refused) as caught:
        await AccessList(db, lambda: 7, own={STORE}).add(STORE.lower(), allows=False)
    assert caught.value.code == "access-own"


async def test_blocked_store_vanishes_and_comes_back_without_the_network(
    tmp_path: Path, hall: Hall, db: Database
) -> None:
    access = rules(db)
    async with open_listener(tmp_path / "home", hall, access=access) as listener:
        merchant = hall.merchant(1)
        merchant.introduce("A")
        merchant.list("blue", "Chemise bleue")
        await listener.hear(merchant)
        await access.add(to_checksum(merchant.store), allows=False)
        await listener.index.apply_access()
        assert listener.titles("chemise") == []
        assert listener.index.store(merchant.store) is None
        assert listener.index.stores() == []
        assert listener.index.listing(merchant.store, "blue") is None
        assert listener.index.validate(merchant.frame(), "x").value == "ignore"
        await access.remove(to_checksum(merchant.store), allows=False)
        hall.cut = True
        await listener.index._sync.bring_in(merchant.store)
        await listener.index.commit_search()
        assert listener.titles("chemise") == ["Chemise bleue"]
        assert listener.index.store(merchant.store) is not None


@pytest.fixture
def hall() -> Hall:
    return Hall()
