"""Roles by hand, in pages and from the command line: a dispute with its arbiter, a carrier, an underwriter's cover."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from halle_cli.demo.actors import NodeProcess, until
from halle_cli.demo.drawing import draw
from halle_cli.demo.trading import Deal
from system.guild import DELIVERED, PAY, SETTINGS, SHIRT, Guild, sees
from system.visiting import DESK, PHONE, Visitor, look_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(480)]


def halle(node: NodeProcess, *words: str) -> str:
    """What a command says, run beside the running node as its owner would."""
    command = [sys.executable, "-m", "halle_cli", "--home", str(node.home), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def key_at(deal: Deal, node: NodeProcess) -> str:
    """The name a node gives the order, once it knows it."""
    found: dict[str, Any] = deal.reaches(node, "the order is known there", bool)
    return str(found["summary"]["order_key"])


def unfold(page: Page) -> None:
    """Open the steps that are not the first choice."""
    if page.locator("details.more:not([open])").count():
        page.locator("details.more > summary").first.click()


@pytest.mark.browser
def test_dispute_is_opened_heard_and_ruled_in_the_browser(guild: Guild, browser: Browser, tmp_path: Path) -> None:
    people = guild.people
    deal = guild.order(*SHIRT)
    for step in DELIVERED:
        guild.walk(deal, step)
    buyer, shop, judge = (
        Visitor(browser, people[name], size) for name, size in (("buyer", PHONE), ("shop", DESK), ("judge", PHONE))
    )

    page = buyer.open(f"/en/market/orders/{deal.key}")
    form = page.locator("form[action$='/act/dispute']")
    look_until(page, form)
    unfold(page)
    form.locator("[name=text]").fill("A seam is open. <b>Look</b>")
    picture = tmp_path / "seam.png"
    draw(picture, "shirt", "#3b6ea5", "#f3ece1")
    form.locator("[name=photos]").set_input_files(picture)
    form.locator("button").click()
    look_until(page, page.get_by_text("Disputed"))
    buyer.assert_content()

    page = shop.open(f"/en/admin/orders/{key_at(deal, people['shop'])}")
    form = page.locator("form[action$='/act/add_evidence']")
    look_until(page, form)
    unfold(page)
    form.locator("[name=text]").fill("It left whole.")
    form.locator("button").click()
    shop.assert_content()

    page = judge.open("/en/admin/roles")
    look_until(page, page.locator("a[href*='/roles/cases/']"))
    case = key_at(deal, people["judge"])
    page = judge.open(f"/en/admin/roles/cases/{case}")
    look_until(page, page.get_by_text("It left whole."))
    expect(page.get_by_text("A seam is open. <b>Look</b>", exact=True)).to_be_visible()
    photo = page.locator("a[href*='/file/']").first.get_attribute("href")
    shown = page.request.get(people["judge"].found.local_url + str(photo))
    assert (shown.status, shown.headers["content-type"]) == (200, "image/webp")
    page = judge.open(f"/en/admin/roles/cases/{case}")
    form = page.locator("form[action$='/act/rule']")
    form.locator("[name=buyer_bps]").fill("40")
    form.locator("[name=text]").fill("Forty percent, for the seam.")
    form.locator("button").click()
    judge.assert_content()

    for visitor, path in (
        (buyer, f"/en/market/orders/{deal.key}"),
        (shop, "/en/admin/orders/" + key_at(deal, people["shop"])),
    ):
        page = visitor.open(path)
        look_until(page, page.get_by_text("Forty percent, for the seam."))
        visitor.assert_content()
    deal.reaches(people["buyer"], "it is ruled", lambda order: sees(order, {"outcome": "ruled"}))


def test_roles_are_played_from_the_command_line(guild: Guild) -> None:
    people = guild.people
    for role in ("arbiter", "carrier"):
        listed = json.loads(halle(people["shop"], role, "list", "--json"))
        assert {"judge", "second"} <= {each["name"] for each in listed} or {"carrier"} <= {e["name"] for e in listed}
    deal = guild.order("vase", "VASE", 1)
    guild.walk(deal, PAY)
    shop_key = key_at(deal, people["shop"])
    deal.move(people["shop"], "ship", tracking=f"T-{deal.key[:8]}")

    def parcel() -> Any:
        found = json.loads(halle(people["carrier"], "carrier", "parcels", "--json"))
        return [each for each in found if each["tracking"] == f"T-{deal.key[:8]}"]

    [mine] = until("the carrier has the parcel", parcel)
    halle(people["carrier"], "carrier", "attest", mine["shipment_id"], "delivered", "--place", "Lyon")
    deal.reaches(people["buyer"], "the carrier's word is there", lambda order: sees(order, {"status": "delivered"}))
    halle(people["buyer"], "order", "do", deal.key, "dispute", "text=Broken")

    case = key_at(deal, people["judge"])
    assert case in halle(people["judge"], "arbiter", "cases", "--json")
    assert "Broken" in halle(people["judge"], "arbiter", "show", case)
    halle(people["judge"], "arbiter", "ask", case, "both", "When was it?")
    halle(people["judge"], "arbiter", "rule", case, "--buyer", "100", "--because", "Broken it is")
    deal.reaches(people["buyer"], "the money is back", lambda order: sees(order, {"outcome": "ruled"}))
    assert "Broken it is" in halle(people["shop"], "order", "show", shop_key)


# --- cover

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
