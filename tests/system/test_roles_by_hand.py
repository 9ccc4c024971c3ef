"""A dispute by hand: buyer, shop and arbiter in front of their pages; and the same roles from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from halle_cli.demo.actors import NodeProcess, until
from halle_cli.demo.drawing import draw
from halle_cli.demo.trading import Deal
from system.guild import DELIVERED, PAY, SHIRT, Guild, sees
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
