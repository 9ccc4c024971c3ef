"""One customer is forgotten: nothing of their words is left in any file of the home."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from halle_node.trade.views import Address
from halle_protocol.errors import Refused
from node.trade.hall import Hall, settle, shirt

NAME, STREET, TOWN, MAIL = (
    "Zéphyrine Quatremère",
    "17 rue Introuvable",
    "Villeneuve-sur-Nulle",
    "zephyrine@nulle.example",
)
ASKED, ANSWERED, BROKEN = "Does it suit a giraffe?", "It suits every giraffe.", "The collar bit my neighbour."
WORDS = (NAME, STREET, TOWN, MAIL, ASKED, ANSWERED, BROKEN)


def photo() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 64), 80).convert("RGB").save(out, "PNG")
    return out.getvalue()


def left(home: Path) -> dict[str, list[str]]:
    """Return which words are in which files, whatever a text or JSON makes of its letters."""
    found: dict[str, list[str]] = {}
    for path in (each for each in home.rglob("*") if each.is_file()):
        data = path.read_bytes()
        spelt = {word: (word.encode(), word.encode("unicode_escape")) for word in WORDS}
        hits = [word for word, forms in spelt.items() if any(form in data for form in forms)]
        if hits:
            found[str(path.relative_to(home))] = hits
    return found


async def test_nothing_of_an_erased_customer_is_left_on_the_disk(hall: Hall) -> None:
    shop, buyer, other = await hall.home("camille"), await hall.home("noe"), await hall.home("lea")
    for home in (shop, buyer, other):
        await home.fund_wallet()
    await shop.open_shop(shirt())
    await settle(shop, buyer, other)
    address = Address(NAME, STREET, TOWN, "99999", "FR")
    key = await buyer.buy(shop, name=NAME, email=MAIL, address=address)
    asked = await buyer.buy(shop, name=NAME, email=MAIL, address=address)
    kept = await other.buy(shop)
    await settle(buyer, shop, other)
    await buyer.trade.approve(key)
    await other.trade.approve(kept)
    await settle(buyer, shop, other)
    await buyer.trade.chat(key, ASKED)
    await settle(buyer, shop)
    await shop.trade.chat(key, ANSWERED)
    await shop.trade.ship(key, "La Poste", "6A", anyway=True)
    await settle(buyer, shop)
    await buyer.trade.act(key, "request_return", reason=BROKEN, photos=[photo()])
    await settle(buyer, shop)
    [sealed] = shop.trade.order(key).returning.photos
    await shop.trade.file(key, sealed.file_id)  # fetched, so that the shop has the picture's blocks
    pictures = [cid for name, cid in shop.blocks.pins().items() if name.startswith("sealed/")]
    assert pictures

    with pytest.raises(Refused) as raised:
        await shop.trade.erase_customer(NAME, apply=True)
    assert raised.value.code == "customer-has-open-orders"
    await buyer.trade.release(key)
    await settle(buyer, shop)
    await shop.trade.decline(asked)
    await settle(buyer, shop)
    before = shop.trade.order(key)
    assert left(shop.config.home)

    planned = await shop.trade.erase_customer(NAME.upper(), apply=False)
    assert (planned.orders, planned.applied) == (2, False)
    assert left(shop.config.home)
    erased = await shop.trade.erase_customer("0x" + buyer.address.hex(), apply=True)
    assert (erased.customer, erased.orders, erased.applied) == (NAME, 2, True)
    assert erased.messages == planned.messages > 5

    assert left(shop.config.home) == {}
    assert not any(shop.blocks.has(cid) for cid in pictures)
    after = shop.trade.order(key)
    assert (after.total, after.shipping, after.balance) == (before.total, before.shipping, before.balance)
    assert after.books["country"] == "FR"
    assert after.books["lines"][0]["sku"] == "S-1"
    assert (after.problem, after.next_actions) == ("customer-erased", ())
    assert all(row.balance.balanced for row in shop.trade.balance_sheet())
    # Others are untouched, nobody is asked for what was erased, and the node works on and starts again.
    assert shop.trade.order(kept).contact_name == "Noé Blanc"
    await settle(buyer, shop, other)
    await shop.reopen()
    hall.homes[shop.keys.grant.peer_id] = shop
    await settle(buyer, shop, other)
    assert left(shop.config.home) == {}
    with pytest.raises(Refused) as raised:
        await shop.trade.erase_customer(NAME, apply=True)
    assert raised.value.code == "customer-unknown"
