"""Imports: whatever a spreadsheet did to the file, each row gets a verdict, and nothing else is lost."""

from __future__ import annotations

import csv
import io
import resource
import time
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from halle_node.catalog import ImportReport, ProductForm, Translation, VariantForm, WarrantyForm
from halle_node.catalog.fetch import ImageFetcher
from halle_node.catalog.text import html_of, plain_text, tidy
from halle_protocol.errors import Refused
from node.catalog.shop import Shop, euros, open_shop, picture, png_bomb, shirt

REAL_FILE = Path(__file__).resolve().parents[4] / "shared" / "data" / "shopify-apparel.csv"
LEGACY = (
    "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,"
    "Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Compare At Price,"
    "Variant Requires Shipping,Variant Taxable,Image Src,Image Position,Image Alt Text,SEO Title\r\n"
)


def legacy(*rows: str) -> bytes:
    return (LEGACY + "\r\n".join(rows) + "\r\n").encode()


SHIRT_ROWS = (
    'blue,Blue shirt,"<p>Soft &amp; <b>warm</b></p><script>x()</script>",Camille,Shirt,"men, été",true,Size,S,BS-S,200,'
    "shopify,3,deny,25.00,30.00,true,true,,,,Buy blue",
    "blue,,,,,,,,M,BS-M,210,shopify,4,continue,26,,true,false,,,,",
)


def verdicts(report: ImportReport) -> list[tuple[int, str, str, str]]:
    return [(row.line, row.handle, row.verdict, row.code) for row in report.rows]


async def test_import_reads_legacy_headers(shop: Shop) -> None:
    report = await shop.catalog.import_csv(legacy(*SHIRT_ROWS), dry_run=False)
    assert verdicts(report) == [(2, "blue", "created", "")]
    assert (report.dialect, report.encoding, report.totals["lines"]) == ("shopify-legacy", "utf-8", 2)
    form = shop.catalog.product("blue").form
    assert form.description == "Soft & **warm**"
    assert form.tags == ("men", "été")
    assert form.options == ("Size",)
    small, medium = form.variants
    assert (small.sku, small.price, small.list_price, small.weight_g) == ("BS-S", euros(2_500), euros(3_000), 200)
    assert (medium.options, medium.on_hand, medium.oversell) == ({"Size": "M"}, 4, True)
    assert form.extra == {"SEO Title": "Buy blue"}
    assert medium.extra == {"Variant Taxable": "false"}


async def test_import_reads_current_headers_and_title_only_rows(shop: Shop) -> None:
    text = "Title,URL handle,Price,Status,Option1 name,Option1 value\nLampe été,,12.5,draft,Title,Default Title\n"
    report = await shop.catalog.import_csv(text.encode(), dry_run=False)
    assert report.dialect == "shopify"
    detail = shop.catalog.product("lampe-ete")
    assert (detail.status, detail.form.variants[0].price, detail.form.options) == ("draft", euros(1_250), ())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
async def test_import_reads_what_spreadsheets_write(shop: Shop, encoding: str, delimiter: str) -> None:
    text = delimiter.join(("Title", "Price")) + "\r\n" + delimiter.join(("Crème brûlée", "4.20")) + "\r\n"
    report = await shop.catalog.import_csv(text.encode(encoding), dry_run=False)
    assert report.encoding == encoding
    assert shop.catalog.product("creme-brulee").form.title == "Crème brûlée"


async def test_dry_run_gives_the_same_verdicts_and_changes_nothing(shop: Shop) -> None:
    data = legacy(*SHIRT_ROWS, "red,Red,,,,,true,,,,,,,,-3,,,,,,,", ",,,,,,,,,,,,,,1,,,,,,,")
    dry = await shop.catalog.import_csv(data, dry_run=True)
    assert shop.catalog.products() == []
    assert dry.import_id is None
    real = await shop.catalog.import_csv(data, dry_run=False)
    assert verdicts(dry) == verdicts(real)
    assert dry.totals == real.totals


@pytest.mark.parametrize(
    ("row", "codes"),
    [
        ("a,A,,,,,true,,,,,,,,-3,,,,,,,", ["price-negative", "no-variant"]),
        ("a,A,,,,,true,,,,,,,,abc,,,,,,,", ["price-invalid", "no-variant"]),
        ("a,A,,,,,true,,,,,,,,,,,,,,,", ["price-missing", "no-variant"]),
        ("a,A,,,,,true,,,,,,x,,1,,,,,,,", ["stock-invalid", "no-variant"]),
        ("a,,,,,,true,,,,,,,,1,,,,,,,", ["title-missing"]),
        (",,,,,,true,,,,,,,,1,,,,,,,", ["handle-missing"]),
        ("a,A,,,,,true,,,,,,-4,,1,,,,,,,", ["stock-negative", ""]),
        ("a,A,,,,,true,,,,,,,,1,,,,,,,,,,too,many", ["row-broken"]),
    ],
)
async def test_import_names_what_is_wrong_with_a_row(shop: Shop, row: str, codes: list[str]) -> None:
    report = await shop.catalog.import_csv(legacy(row, "b,B,,,,,true,,,,,,,,1,,,,,,,"), dry_run=False)
    assert [one.code for one in report.rows if one.line == 2] == codes
    assert shop.catalog.product("b").form.title == "B"


async def test_broken_quote_costs_one_row(shop: Shop) -> None:
    rows = [f"p{number},P{number},,,,,true,,,,,,,,1,,,,,,," for number in range(6)]
    rows[2] = 'p2,"P2,,,,,true,,,,,,,,1,,,,,,,'
    report = await shop.catalog.import_csv(legacy(*rows), dry_run=False)
    assert [(one.line, one.code) for one in report.rows if one.verdict == "error"] == [(4, "row-broken")]
    assert {one.handle for one in shop.catalog.products()} == {"p0", "p1", "p3", "p4", "p5"}


async def test_quote_that_closes_rows_later_costs_one_row(shop: Shop) -> None:
    rows = [f'p{number},P{number},"text {number}",,,,true,,,,,,,,1,,,,,,,' for number in range(5)]
    rows[1] = 'p1,P1,"text 1,,,,true,,,,,,,,1,,,,,,,'
    await shop.catalog.import_csv(legacy(*rows), dry_run=False)
    assert {one.handle for one in shop.catalog.products()} == {"p0", "p2", "p3", "p4"}


async def test_scattered_rows_of_one_handle_become_one_product(shop: Shop) -> None:
    report = await shop.catalog.import_csv(
        legacy(SHIRT_ROWS[0], "red,Red,,,,,true,,,,,,,,1,,,,,,,", SHIRT_ROWS[1], SHIRT_ROWS[1]), dry_run=False
    )
    assert ("warning", "handle-scattered") in {(one.verdict, one.code) for one in report.rows}
    assert (5, "blue", "error", "variant-repeated") in verdicts(report)
    assert [one.sku for one in shop.catalog.product("blue").form.variants] == ["BS-S", "BS-M"]


async def test_absent_columns_keep_and_blank_cells_empty(shop: Shop) -> None:
    await shop.catalog.import_csv(legacy(*SHIRT_ROWS), dry_run=False)
    text = "Handle,Title,Vendor,Option1 Value,Variant Price\nblue,Blue,,S,20\nblue,,,M,21\n"
    report = await shop.catalog.import_csv(text.encode(), dry_run=False)
    assert verdicts(report) == [(2, "blue", "updated", "")]
    form = shop.catalog.product("blue").form
    assert (form.title, form.vendor, form.description) == ("Blue", "", "Soft & **warm**")
    assert [(one.sku, one.price.amount_minor, one.on_hand) for one in form.variants] == [
        ("BS-S", 2_000, 3),
        ("BS-M", 2_100, 4),
    ]


async def test_same_file_again_is_skipped(shop: Shop) -> None:
    await shop.catalog.import_csv(legacy(*SHIRT_ROWS), dry_run=False)
    report = await shop.catalog.import_csv(legacy(*SHIRT_ROWS), dry_run=False)
    assert [(one.verdict, one.code) for one in report.rows] == [("skipped", "unchanged")]


@pytest.mark.parametrize("data", [b"", b"   \n", b"\xef\xbb\xbf"])
async def test_empty_file_is_refused(shop: Shop, data: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        await shop.catalog.import_csv(data)
    assert refusal.value.code == "file-empty"


async def test_file_of_something_else_is_refused(shop: Shop) -> None:
    with pytest.raises(Refused) as refusal:
        await shop.catalog.import_csv(b"Name,Email\nLea,lea@example.org\n")
    assert refusal.value.code == "columns-missing"


async def test_missing_file_is_refused(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        await shop.catalog.import_csv(tmp_path / "none.csv")
    assert refusal.value.code == "file-unreadable"


async def test_undo_puts_everything_back(shop: Shop) -> None:
    await shop.catalog.save_product(shirt("blue", description="Mine."))
    await shop.catalog.add_photo("blue", "a.jpg", picture(), "Front")
    before = shop.catalog.product("blue")
    report = await shop.catalog.import_csv(legacy(*SHIRT_ROWS, "red,Red,,,,,true,,,,,,,,1,,,,,,,"), dry_run=False)
    assert report.import_id is not None
    assert await shop.catalog.undo_import(report.import_id) == 2
    after = shop.catalog.product("blue")
    assert (after.form, after.photos, after.stock) == (before.form, before.photos, before.stock)
    assert shop.catalog.product("red").removed
    assert shop.catalog.imports()[0]["undone_at"] is not None
    for number in (report.import_id, 99):
        with pytest.raises(Refused):
            await shop.catalog.undo_import(number)


async def test_pictures_beside_the_file_are_taken_and_no_others(shop: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "img").mkdir(parents=True)
    (folder / "img" / "a.png").write_bytes(picture(kind="PNG"))
    (folder / "bomb.png").write_bytes(png_bomb(9000, 9000))
    (tmp_path / "secret.png").write_bytes(picture(kind="PNG"))
    rows = [
        f"p{number},P,,,,,true,,,,,,,,1,,,,{source},1,Alt,"
        for number, source in enumerate(["img/a.png", "../secret.png", "/etc/passwd", "bomb.png", "none.png"])
    ]
    (folder / "shop.csv").write_bytes(legacy(*rows))
    report = await shop.catalog.import_csv(folder / "shop.csv", dry_run=False)
    assert report.totals["created"] == 5
    assert {one.handle: one.code for one in report.rows if one.verdict == "warning"} == {
        "p1": "image-path",
        "p2": "image-path",
        "p3": "image-too-large",
        "p4": "image-missing",
    }
    (photo,) = shop.catalog.product("p0").photos
    assert photo.cid is not None
    assert photo.alt == {"en": "Alt"}


async def picture_server() -> TestServer:
    async def good(_: web.Request) -> web.Response:
        return web.Response(body=picture(), content_type="image/jpeg")

    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:9/secret")

    async def huge(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(2 << 20))

    app = web.Application()
    app.add_routes([web.get("/a.jpg", good), web.get("/away.jpg", away), web.get("/huge.jpg", huge)])
    server = TestServer(app)
    await server.start_server()
    return server


async def test_pictures_on_the_web_are_fetched_once_and_failures_are_warnings(tmp_path: Path) -> None:
    server = await picture_server()
    fetcher = ImageFetcher(max_bytes=1 << 20, timeout_s=5, allowed=lambda _: True)
    async with open_shop(tmp_path, fetcher) as shop:
        rows = [
            f"p{number},P,,,,,true,,,,,,,,1,,,,{server.make_url(path)},1,,"
            for number, path in enumerate(["/a.jpg", "/none.jpg", "/away.jpg", "/huge.jpg"])
        ]
        report = await shop.catalog.import_csv(legacy(*rows), dry_run=False)
        assert report.totals["created"] == 4
        assert [one.code for one in report.rows if one.verdict == "warning"] == [
            "image-unreachable",
            "image-unreachable",
            "image-too-large",
        ]
        assert shop.catalog.product("p0").photos[0].cid is not None
        assert shop.catalog.product("p1").photos[0].cid is None
        await server.close()
        again = await shop.catalog.import_csv(legacy(rows[0]), dry_run=False)
        assert [one.verdict for one in again.rows] == ["skipped"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.jpg",
        "http://localhost:{port}/a.jpg",
        "http://2130706433:{port}/a.jpg",
        "http://127.1:{port}/a.jpg",
        "http://[::ffff:127.0.0.1]:{port}/a.jpg",
        "http://[::1]:{port}/a.jpg",
        "http://[64:ff9b::7f00:1]:{port}/a.jpg",
        "http://[2002:7f00:1::]:{port}/a.jpg",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/a.jpg",
        "http://100.64.0.1/a.jpg",
        "http://0.0.0.0:{port}/a.jpg",
        "http://224.0.0.1/a.jpg",
        "http://user:pass@example.org/a.jpg",
        "file:///etc/passwd",
        "ftp://example.org/a.jpg",
        "http:///a.jpg",
    ],
)
async def test_fetcher_never_connects_inside(url: str) -> None:
    server = await picture_server()
    fetcher = ImageFetcher(max_bytes=1 << 20, timeout_s=5)
    with pytest.raises(Refused) as refusal:
        await fetcher.fetch(url.format(port=server.port))
    assert refusal.value.code == "image-address"
    await fetcher.close()
    await server.close()


def rich_product() -> ProductForm:
    return ProductForm(
        title='Lamp "Été", small',
        handle="lamp",
        description="First line\nsecond line\n\n- a\n- b < c & d",
        kind="digital",
        status="draft",
        translations={"fr": Translation("Lampe", "Une <lampe>.")},
        options=("Colour", "Size"),
        variants=(
            VariantForm(price=euros(1999), options={"Colour": "Red", "Size": "S"}, image=1, barcode="123"),
            VariantForm(price=euros(5), options={"Colour": "Blue"}, list_price=euros(10), weight_g=5, oversell=True),
        ),
        vendor="Camille, Fils",
        product_type="Light",
        category="Home > Lamps",
        tags=("été", "b c"),
        attributes={"Power": "5 W"},
        warranty=WarrantyForm(365, 5_000, "Terms, with comma"),
        delivery_proof="carrier",
        min_quantity=2,
        max_quantity=9,
        origin="FR",
        hs_code="940511",
        extra={"SEO title": "x", "Zeta": "1"},
    )


async def test_export_import_export_gives_the_same_bytes(shop: Shop, tmp_path: Path) -> None:
    await shop.catalog.save_product(shirt())
    await shop.catalog.save_product(rich_product())
    await shop.catalog.add_photo("lamp", "a", picture(), "Front")
    await shop.catalog.add_photo("lamp", "b", picture(70, 70))
    await shop.catalog.add_photo("lamp", "c", picture(80, 80))
    first = shop.catalog.export_csv()
    report = await shop.catalog.import_csv(first, dry_run=False)
    assert report.ok
    assert shop.catalog.export_csv() == first
    async with open_shop(tmp_path / "other") as other:
        other.blocks.put_many(
            [
                (cid, shop.blocks.get(cid))
                for one in shop.catalog.product("lamp").photos
                for cid in (one.cid, one.thumb)
                if cid is not None
            ]
        )
        report = await other.catalog.import_csv(first, dry_run=False)
        assert report.ok, report.rows
        # The pictures are encoded again elsewhere, so only their addresses differ.
        lines = [list(csv.DictReader(io.StringIO(data.decode()))) for data in (first, other.catalog.export_csv())]
        for mine, theirs in zip(*lines, strict=True):
            assert {k: v for k, v in mine.items() if "image URL" not in k} == {
                k: v for k, v in theirs.items() if "image URL" not in k
            }


@pytest.mark.skipif(not REAL_FILE.is_file(), reason="needs shared/data/shopify-apparel.csv beside the checkout")
async def test_real_export_is_imported_whole(shop: Shop) -> None:
    report = await shop.catalog.import_csv(REAL_FILE.read_bytes(), dry_run=True)
    assert report.ok
    with REAL_FILE.open(encoding="utf-8", newline="") as file:
        handles = {row["Handle"] for row in csv.DictReader(file)}
    assert {one.handle for one in report.rows} == handles
    assert report.totals["created"] == len(handles)


HTML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=60)


@given(
    st.lists(
        st.sampled_from(["<p>", "</p>", "<br>", "<b>", "</b>", "<li>", "&amp;", "<script>x</script>", "\n"]) | HTML_TEXT
    )
)
def test_text_survives_the_way_through_html(parts: list[str]) -> None:
    text = plain_text("".join(parts))
    assert plain_text(html_of(text)) == text or not text


@given(HTML_TEXT)
def test_tidy_text_stays_tidy(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)


@pytest.mark.parametrize(
    "payload",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '<a href="javascript:alert(1)">x</a>',
        "<svg/onload=alert(1)>",
        "<iframe src=//evil></iframe>",
        "<style>*{}</style>",
        '<img src="http://127.0.0.1:8080/x">',
    ],
)
def test_html_of_strangers_becomes_words(payload: str) -> None:
    text = plain_text(f"<p>before</p>{payload}<p>after</p>")
    assert "<" not in text
    assert "alert" not in text
    assert "127.0.0.1" not in text


async def test_progress_counts_up_to_the_end(shop: Shop) -> None:
    seen: list[tuple[int, int]] = []
    rows = [f"p{number},P,,,,,true,,,,,,,,1,,,,,,," for number in range(1_200)]
    await shop.catalog.import_csv(legacy(*rows), dry_run=True, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (1_200, 1_200)


async def test_large_file_is_imported_with_bounded_memory(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(LEGACY)
        for number in range(20_000):
            file.write(
                f"p{number},Product {number},{'word ' * 100},V,T,a,true,,,,1,shopify,5,deny,9.99,,true,true,,,,\r\n"
            )
    size_mb = path.stat().st_size >> 20
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    started = time.monotonic()
    report = await shop.catalog.import_csv(path, dry_run=True)
    assert report.totals["created"] == 20_000
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10) - before_mb
    assert size_mb >= 10
    assert grown_mb < 60
    assert time.monotonic() - started < 60
