"""Text from the network is shown as text: nothing a stranger writes becomes an element, an attribute or a script."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from faces import Faces
from hypothesis import given
from hypothesis import strategies as st
from stall import an_order

from halle_node.catalog import ProductForm, VariantForm
from halle_node.trade.views import Action, Address, ChatLine, ShipmentView, TimelineEntry
from halle_protocol.money import Money
from halle_storefront.markup import plain_text, rich_text
from halle_storefront.pages import TEMPLATES

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "<a href='javascript:alert(1)'>x</a>",
    "<img src='http://127.0.0.1:8480/fr/admin/publish'>",
    "<form action=//evil.example><button>x",
    "</script><script>alert(1)</script>",
    "{{7*7}}{% raw %}",
    "<style>*{display:none}</style>",
    "'-alert(1)-'",
)
ALL = " ".join(PAYLOADS)
INERT = (
    "<script>alert",
    "onerror=alert(1)>",
    "<svg onload",
    "<a href='javascript",
    "127.0.0.1:8480/fr/admin/publish'>",
    "<form action=//",
    "<style>*",
    ">49<",
)


def assert_inert(page: str) -> None:
    for live in INERT:
        assert live not in page, live


async def test_listing_texts_are_inert_on_every_page(faces: Faces) -> None:
    stall = faces.stall
    form = ProductForm(
        title=ALL[:290],
        description=ALL,
        handle="hostile",
        language="fr",
        vendor=PAYLOADS[1],
        tags=(PAYLOADS[0],),
        options=(PAYLOADS[2][:40],),
        attributes={PAYLOADS[2]: PAYLOADS[1]},
        variants=(VariantForm(price=Money(100, "EUR"), sku="X1", options={PAYLOADS[2][:40]: PAYLOADS[1]}),),
    )
    await stall.catalog.save_product(form)
    await stall.catalog.save_profile(replace(stall.catalog.profile(), name=PAYLOADS[0], about={"fr": ALL}))
    await stall.catalog.publish()
    assert "hostile" in stall.index._listings()
    store = "0x" + stall.keys.store_address.hex()
    pages = [
        ("shop", "/fr/"),
        ("shop", "/fr/p/hostile"),
        ("local", f"/fr/market/p/{store}/hostile"),
        ("local", "/fr/market/"),
    ]
    pages += [
        ("local", "/fr/admin/products/hostile"),
        ("local", "/fr/admin/products"),
        ("local", f"/fr/market/s/{store}"),
        ("local", "/fr/admin/settings"),
    ]
    for side, path in pages:
        status, page = await faces.get(path, side)
        assert status == 200, path
        assert_inert(page)


async def test_order_texts_are_inert_on_both_sides(faces: Faces) -> None:
    key = "9a" * 16
    base = an_order(key, "merchant", "shipped")
    order = replace(
        base,
        contact_name=ALL,
        contact_email=PAYLOADS[1],
        note=ALL,
        rate_name=PAYLOADS[0],
        problem=PAYLOADS[1],
        delivery_code="ABC",
        address=Address(ALL, ALL, ALL, PAYLOADS[0], PAYLOADS[1]),
        terms_words=(ALL,),
        lines=(
            replace(base.lines[0], title=ALL, options={PAYLOADS[0]: PAYLOADS[1]}, sku=PAYLOADS[2], problem=PAYLOADS[0]),
        ),
        chat=(ChatLine(1, "buyer", ALL, True),),
        shipments=(ShipmentView(ALL, ALL, "javascript:alert(1)", 1, ""),),
        timeline=(
            TimelineEntry(1, "message", "timeline.chat", {"text": ALL}),
            TimelineEntry(1, "chain", ALL, tx_hash=PAYLOADS[2]),
        ),
        summary=replace(base.summary, customer=ALL, store_name=ALL, title=ALL, status=PAYLOADS[1]),
        next_actions=(Action("ship", "merchant", None, primary=True),),
    )
    faces.stall.trade.detail = {key: order}
    for side, path in (
        ("local", f"/fr/admin/orders/{key}"),
        ("local", f"/fr/market/orders/{key}"),
        ("local", "/fr/admin/orders"),
        ("local", "/fr/admin/"),
        ("shop", f"/fr/o/{key}"),
    ):
        status, page = await faces.get(path, side)
        assert status == 200, path
        assert_inert(page)
        assert 'javascript:alert(1)"' not in page


def test_templates_trust_only_their_own_sentences() -> None:
    """`_()` gives back markup, so it may only be called with a literal."""
    for path in sorted(TEMPLATES.rglob("*.html")):
        for call in re.findall(r"(?<![\w.])(?:_|ngettext)\(\s*(.)", path.read_text()):
            assert call in "'\"", path


@pytest.mark.parametrize("payload", PAYLOADS)
async def test_addresses_and_searches_are_inert(faces: Faces, payload: str) -> None:
    for side, path, name in (
        ("shop", "/fr/", "q"),
        ("local", "/fr/market/", "q"),
        ("local", "/fr/market/", "kind"),
        ("local", "/fr/admin/orders", "view"),
        ("local", "/fr/admin/products", "undo"),
    ):
        params = {name: payload, "done": "removed" if name == "undo" else payload}
        async with faces.owner.get(faces.url(side, path), params=params) as answer:
            assert answer.status == 200
            assert_inert(await answer.text())


async def test_structured_data_cannot_leave_its_element(faces: Faces) -> None:
    form = ProductForm(
        title="</script><script>alert(1)</script>",
        handle="jsonld",
        language="fr",
        description="<!-- ]]> \u2028",
        variants=(VariantForm(price=Money(100, "EUR"), sku="X1"),),
    )
    await faces.stall.catalog.save_product(form)
    await faces.stall.catalog.publish()
    _, page = await faces.get("/fr/p/jsonld", "shop")
    block = page.split('application/ld+json">')[1].split("</script>")[0]
    assert json.loads(block)["name"].startswith("</script>")


@given(st.text(max_size=300))
def test_rich_text_keeps_only_bare_tags(text: str) -> None:
    for tag in re.findall(r"<[^>]*>", rich_text(text)):
        assert re.fullmatch(r"</?(p|br|strong|em|b|i|ul|ol|li|h3|h4|blockquote)>", tag), tag


def test_rich_text_renders_the_subset() -> None:
    assert rich_text("Hello **you**\n\n- one\n- *two*") == (
        "<p>Hello <strong>you</strong></p><ul><li>one</li><li><em>two</em></li></ul>"
    )
    assert plain_text("# A **b** <i>c</i>\n\nd") == "A b c d"
