"""`halle pins`, `halle gc` and `halle mailbox` on a home whose node does not run."""

from __future__ import annotations

from cli.conftest import Halle

PEER = "12D3KooWGCyS8gmm9gYyy4D6ZHe6oVnV9w6GFdR2rfAKtv3aE3Cw"
BOX = f"/ip4/192.0.2.7/tcp/4480/p2p/{PEER}"


def test_pins_and_gc_say_what_there_is_and_what_to_do(halle: Halle) -> None:
    nothing = halle("pins")
    assert nothing.status == 0
    assert "halle product publish" in nothing.err
    assert "Nothing to remove" in halle("gc").out
    halle("product", "add", "--title", "Bol", "--price", "12.50", "--publish")
    found = halle("pins", "--json").json
    assert {pin["why"] for pin in found["pins"]} >= {"edition", "shop"}
    assert "your shop as published" in halle("pins").out
    planned = halle("gc", "--json").json
    assert planned["applied"] is False
    assert planned["kept_blocks"] == found["disk"]["blocks"]
    assert halle("gc", "--apply", "--json").json["applied"] is True


def test_mailboxes_are_named_shown_and_removed(halle: Halle) -> None:
    empty = halle("mailbox", "status")
    assert "halle mailbox add" in empty.err
    assert "followed" in empty.out
    made = halle("mailbox", "add", BOX)
    assert made.status == 0
    assert BOX in made.out
    assert halle("mailbox", "add", BOX).status == 0  # twice is once
    found = halle("mailbox", "status", "--json").json
    assert [box["mailbox"] for box in found["ours"]] == [BOX]
    assert found["kept"]["letters"] == 0
    assert "never" in halle("mailbox", "status").out
    assert halle("mailbox", "remove", BOX).status == 0
    assert halle("mailbox", "status", "--json").json["ours"] == []


def test_what_waits_and_what_was_set_aside_are_shown(halle: Halle) -> None:
    waiting = halle("mailbox", "waiting")
    assert waiting.status == 0
    assert "No message waits." in waiting.err
    assert "No transaction waits." in waiting.err
    found = halle("mailbox", "waiting", "--json").json
    assert (found["messages"], found["quarantine"], found["transactions"]) == ([], [], [])
    assert "Nothing is set aside." in halle("mailbox", "quarantine").err


def test_mailbox_mistakes_are_told(halle: Halle) -> None:
    for address, code in (("127.0.0.1", "bad-multiaddr"), (f"/ip4/192.0.2.7/udp/1/p2p/{PEER}", "bad-multiaddr")):
        refused = halle("mailbox", "add", address)
        assert (refused.status, refused.code) == (3, code)
    assert halle("mailbox", "remove", BOX).code == "mailbox-unknown"
    for number in range(8):
        assert halle("mailbox", "add", BOX.replace("4480", str(4000 + number))).status == 0
    assert halle("mailbox", "add", BOX).code == "mailboxes-too-many"
