"""The README's quick start, by hand: every click of it in a real browser, on two real nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from halle_cli.demo.actors import ChainProcess, NodeProcess
from halle_cli.demo.drawing import draw
from system.visiting import DESK, PHONE, Visitor, look_until

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(240)]


def test_quick_start_works_by_hand_on_desktop_and_phone(
    chain: ChainProcess, make_node: Callable[[str, str], NodeProcess], browser: Browser, tmp_path: Path
) -> None:
    camille, noe = make_node("Camille", chain.rpc_url), make_node("Noe", chain.rpc_url)
    camille.start()
    noe.start(*camille.found.addrs)
    merchant, buyer = Visitor(browser, camille, DESK), Visitor(browser, noe, PHONE)

    add_product(merchant, tmp_path)
    see_it_in_the_shop(merchant, browser)
    order_it(buyer)
    pack_it(merchant)
    code = read_delivery_code(buyer)
    hand_over(merchant, code)
    release(buyer)
    page = merchant.open("/en/admin/orders")
    page.locator("a[href*='/admin/orders/']").first.click()
    expect(page.get_by_text("Closed").first).to_be_visible()
    expect(page.locator("#money, .card").filter(has_text="17.50 tEUR").first).to_be_visible()
    for visitor in (merchant, buyer):
        visitor.assert_content()


def add_product(merchant: Visitor, folder: Path) -> None:
    page = merchant.open("/en/admin/products/new")
    page.fill("[name=title]", "Ruled notebook")
    page.fill("[name=description]", "Eighty pages, sewn. **Made here.**")
    page.locator("[name=v_price]").first.fill("12.50")
    page.locator("[name=v_stock]").first.fill("3")
    page.click("button[name=then][value=save]")
    expect(page.locator("#photo")).to_be_visible()
    picture = folder / "notebook.png"
    draw(picture, "book", "#a33b53", "#efe4d6")
    page.set_input_files("#photo", picture)
    page.fill("[name=alt]", "A red notebook")
    page.locator("form[enctype] button").click()
    expect(page.locator("img[alt='A red notebook']")).to_be_visible()
    page.click("button[name=then][value=publish]")
    expect(page.locator("body")).to_contain_text("bafy")
    merchant.assert_content()


def see_it_in_the_shop(merchant: Visitor, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{merchant.node.found.shop_url}/en/")
    page.get_by_role("link", name="Ruled notebook").first.click()
    expect(page.locator("h1")).to_have_text("Ruled notebook")
    expect(page.locator("img[alt='A red notebook']").first).to_be_visible()
    page.wait_for_function("[...document.images].every(image => image.naturalWidth > 0)")
    page.close()


def order_it(buyer: Visitor) -> None:
    page = buyer.open("/en/market/wallet")
    page.get_by_role("button", name="Get test money").click()
    page = buyer.open("/en/market/")
    look_until(page, page.get_by_role("link", name="Ruled notebook"))
    page.get_by_role("link", name="Ruled notebook").first.click()
    page.get_by_role("button", name="Put in the cart").click()
    page = buyer.open("/en/market/cart")
    page.get_by_role("link", name="Order from this shop").click()
    for name, value in {
        "name": "Noé Martin",
        "street": "12 rue des Tanneurs",
        "postcode": "69007",
        "city": "Lyon",
    }.items():
        page.fill(f"[name={name}]", value)
    page.select_option("[name=country]", "FR")
    page.get_by_role("button", name="Ask for the binding quote").click()
    pay = page.get_by_role("button", name="Approve and pay")
    expect(page.get_by_text("The quote is here.")).to_be_attached(timeout=30_000)
    page.reload()
    buyer.assert_content()
    pay.click()


def pack_it(merchant: Visitor) -> None:
    page = merchant.open("/en/admin/")
    look_until(page, page.get_by_role("link", name="1 order to pack"))
    page.get_by_role("link", name="1 order to pack").click()
    page.locator("a[href*='/admin/orders/']").first.click()
    page.fill("[name=carrier]", "Colissimo")
    page.fill("[name=tracking]", "8R00012345675")
    page.locator("form[action$='/act/ship'] button").click()
    merchant.assert_content()


def read_delivery_code(buyer: Visitor) -> str:
    page = buyer.open("/en/market/orders")
    page.locator("a[href*='/market/orders/']").first.click()
    expect(page.get_by_text("8R00012345675").first).to_be_visible(timeout=30_000)
    buyer.assert_content()
    return page.locator(".code").inner_text().strip()


def hand_over(merchant: Visitor, code: str) -> None:
    page = merchant.open("/en/admin/orders")
    page.locator("a[href*='/admin/orders/']").first.click()
    field = page.locator("form[action$='/act/hand_over'] [name=code]")
    look_until(page, field)
    field.fill(code)
    page.locator("form[action$='/act/hand_over'] button").click()
    merchant.assert_content()


def release(buyer: Visitor) -> None:
    page = buyer.open("/en/market/orders")
    page.locator("a[href*='/market/orders/']").first.click()
    look_until(page, page.get_by_text("Delivered"))
    page.locator("form[action$='/act/release'] button").click()
    look_until(page, page.get_by_text("Closed"))
    buyer.assert_content()
