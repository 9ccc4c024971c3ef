"""Insurance between separate processes: bought of a third party for a real order, claimed, paid; by hand too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from halle_cli.demo.actors import NodeProcess, until
from system.guild import DELIVERED, SETTINGS, SHIRT, Guild
from system.test_roles_by_hand import halle
from system.visiting import PHONE, Visitor, look_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]

EURO = 10**6


@pytest.fixture(scope="module")
def insurer(guild: Guild) -> Iterator[NodeProcess]:
    """Somebody who insures what the shop sells, known to the buyer."""
    shop, buyer = guild.people["shop"], guild.people["buyer"]
    node = NodeProcess("insurer", guild.hall.folder / "insurer", guild.hall.chain.rpc_url, SETTINGS)
    node.init()
    node.start(*shop.found.addrs)
    node.api.post("/wallet/test-money")
    halle(node, "underwriter", "bond", "--add", "tEUR=300")
    offer = ("--terms", "I pay what breaks.", "--fee", "4", "--covers", "tEUR=100", "--max-days", "400")
    halle(node, "underwriter", "offer", *offer)
    until("the buyer knows the insurer", lambda: buyer.api.get("/services/underwriter")["services"])
    until("the bond is there", lambda: int(bond(node)["bond"]) == 300 * EURO)
    yield node
    node.stop()


def bond(node: NodeProcess) -> Any:
    return next(each for each in node.api.get("/bond")["bonds"] if each["token_symbol"] == "tEUR")


def balance(node: NodeProcess) -> int:
    return next(int(token["amount"]) for token in node.api.get("/wallet")["tokens"] if token["symbol"] == "tEUR")


def test_cover_is_bought_of_a_third_party_claimed_and_paid(guild: Guild, insurer: NodeProcess) -> None:
    buyer, shop = guild.people["buyer"], guild.people["shop"]
    deal = guild.order(*SHIRT)
    for step in DELIVERED:
        guild.walk(deal, step)
    [choice] = json.loads(halle(buyer, "cover", "who", deal.key, "--json"))
    price = choice["prices"][0]
    assert int(price["premium_token"]) == int(price["cover_token"]) // 25
    before = balance(buyer)

    halle(buyer, "cover", "ask", deal.key, choice["address"])
    [asked] = buyer.api.get("/covers", role="buyer", order=deal.key)["covers"]
    until("the offer is here", lambda: buyer.api.get(f"/covers/{asked['key']}")["status"] == "offered")
    premium = int(price["premium_token"])
    halle(buyer, "cover", "buy", asked["key"][:12], "--premium", f"{premium / EURO:g}")
    until("it is insured", lambda: buyer.api.get(f"/covers/{asked['key']}")["status"] == "bought")
    assert balance(buyer) == before - premium
    until("its cover is reserved", lambda: int(bond(insurer)["reserved"]) == int(price["cover_token"]))

    halle(buyer, "order", "do", deal.key, "open_warranty_claim", f"amount={10 * EURO}", "text=It is torn")

    def claim() -> Any:
        found = insurer.api.get("/certificates", role="underwriter")["certificates"]
        return [each for each in found if each["status"] == "claimed" and each["said"]]

    [claimed] = until("the claim is heard", claim)
    assert [line["text"] for line in claimed["said"]] == ["It is torn"]
    until("a notice tells of it", lambda: "warranty-claim" in kinds(insurer))
    halle(insurer, "underwriter", "do", claimed["name"], "accept_warranty_claim")
    until("the claim is paid", lambda: balance(buyer) == before - premium + 10 * EURO)
    until("a notice tells of it", lambda: "claim-answered" in kinds(buyer))
    assert not {"warranty-claim", "claim-answered", "cover-asked"} & set(kinds(shop))
    record = buyer.api.get("/services/underwriter")["services"][0]["record"]
    assert (record["certificates"], record["paid"]) == (1, 1)


def kinds(node: NodeProcess) -> list[str]:
    return [each["kind"] for each in node.api.get("/notices")["notices"]]


@pytest.mark.browser
def test_cover_is_asked_for_answered_and_paid_in_the_browser(
    guild: Guild, insurer: NodeProcess, browser: Browser
) -> None:
    deal = guild.order("coat", "COAT", 1)
    for step in DELIVERED:
        guild.walk(deal, step)
    buyer, desk = Visitor(browser, guild.people["buyer"], PHONE), Visitor(browser, insurer, PHONE)
    halle(insurer, "underwriter", "offer", "--terms", "I look at each.", "--fee", "5")
    address = insurer.api.get("/node")["store"]

    def knows_new_terms() -> bool:
        [service] = guild.people["buyer"].api.get("/services/underwriter")["services"]
        return bool(service["fee_bps"] == 500)

    until("the buyer knows the new terms", knows_new_terms)
    page = buyer.open(f"/en/market/orders/{deal.key}")
    look_until(page, page.locator("#insure"))
    page.locator("#insure > summary").click()
    page.locator(f"#insure input[value^='{address}' i]").first.check()
    page.locator("#insure [name=note]").fill("It is a present. <b>Shh</b>")
    page.locator("#insure button").click()
    buyer.assert_content()

    page = desk.open("/en/admin/roles")
    form = page.locator("form[action$='/offer'][action*='/covers/']").first
    look_until(page, page.get_by_text("It is a present. <b>Shh</b>", exact=True))
    form.locator("[name=note]").fill("Keep the bill.")
    form.get_by_text("Sign the offer").click()
    desk.assert_content()

    page = buyer.open(f"/en/market/orders/{deal.key}")
    look_until(page, page.get_by_text("Keep the bill."))
    page.locator("form[action*='/covers/'] button").click()
    buyer.assert_content()
    look_until(page, page.get_by_text("Insured", exact=True))
