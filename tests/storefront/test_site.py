"""The static shop: whole, closed in itself, the same on every machine, and made anew only where it changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest
from sqlalchemy import select
from stall import NOW, Stall, eur, fill, make_stall

from halle_node.catalog import CatalogService, ProductForm, VariantForm
from halle_node.catalog.site import SiteFile
from halle_node.db.schema.catalog import site_file
from halle_protocol import catalog as tree
from halle_protocol import unixfs
from halle_protocol.cid import CID
from halle_protocol.documents import COLLECTION, POST, sign_document
from halle_protocol.errors import Refused
from halle_storefront.site import StaticShop, search

HANDLES = ("chemise-bleue", "bol-gres", "tasse-miel", "echarpe", "vase-boule")


def site_of(stall: Stall) -> CID:
    head = stall.catalog.current_head()
    assert head is not None
    assert head.head.site is not None
    return head.head.site


def read_site(stall: Stall, root: CID) -> dict[str, bytes]:
    """Every file of the site by its path."""
    get = stall.blocks.get

    def below(folder: CID, path: str) -> Iterator[tuple[str, bytes]]:
        for name, link in unixfs.read_directory(folder, get).items():
            here = f"{path}{name}"
            try:
                yield here, unixfs.read_file(link.cid, get, max_bytes=1 << 24)
            except Exception:
                yield from below(link.cid, f"{here}/")

    return dict(below(root, ""))


def sources(stall: Stall) -> dict[str, bytes]:
    rows = stall.db.read(lambda c: c.execute(select(site_file.c.path, site_file.c.cid)).all())
    return {row.path: row.cid for row in rows}


class Links(HTMLParser):
    """What a page leads to and loads."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "action") and tag != "link":
                self.links.append(value or "")
            elif name in ("src", "href"):
                self.loads.append(value or "")


def target(page: str, link: str) -> str:
    """The file a relative link of a page means."""
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / unquote(urlsplit(link).path)).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


async def test_site_is_whole_and_closed_in_itself(stall: Stall) -> None:
    files = read_site(stall, site_of(stall))
    for lang in ("fr", "en"):
        assert {f"{lang}/{name}.html" for name in ("index", "search", "all/1", "policies/returns")} <= set(files)
        assert {path.rpartition("/")[2] for path in files if path.startswith(f"{lang}/p/")} == {
            f"{h}.html" for h in HANDLES
        }
    assert json.loads(files["shop.json"])["store"] == "0x" + stall.keys.store_address.hex()
    for path, body in files.items():
        if not path.endswith(".html"):
            continue
        page = Links(body)
        assert b'http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;' in body
        assert not [load for load in page.loads if not load or urlsplit(load).scheme or load.startswith("/")], path
        inside = [link for link in page.links if not urlsplit(link).scheme and not link.startswith("#")]
        for link in [*page.loads, *inside]:
            assert target(path, link) in files, (path, link)
        outside = {urlsplit(link).scheme for link in page.links} - {""}
        assert outside <= {"http", "mailto"}, path
        assert all("127.0.0.1:8480" in link for link in page.links if link.startswith("http")), path


async def test_pages_say_what_the_catalog_says(tmp_path: Path) -> None:
    stall = await fill(make_stall(tmp_path))
    files = read_site(stall, site_of(stall))
    page = next(body.decode() for path, body in files.items() if path.startswith("fr/p/") and "chemise-bleue" in path)
    for words in ("Chemise en lin bleue", "89,00", "<li><strong>Lin</strong> français</li>", "Épuisé", "365 jours"):
        assert words in page
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', page)
    assert found is not None
    data = json.loads(found[1])
    assert [offer["price"] for offer in data["offers"]] == ["89.00"] * 3
    assert "url" not in data  # a page that may be anywhere knows no address of its own
    pictures = [path for path in files if path.startswith("img/")]
    assert len(pictures) == 12
    assert all(files[path][8:12] == b"WEBP" and path.endswith(".webp") for path in pictures)
    await stall.close()


async def test_same_catalog_makes_the_same_site_and_one_head(stall: Stall, tmp_path: Path) -> None:
    first = stall.catalog.current_head()
    assert first is not None
    again = await stall.catalog.publish()
    assert (again.is_new, again.head.cid) == (False, first.head.cid)
    # Another machine with nothing but the catalog comes to the same root.
    files = {file.path: file.make() for file in StaticShop().files(first.catalog_root, stall.blocks.get)}
    assert files == {
        path: body if not path.startswith("img/") else files[path]
        for path, body in read_site(stall, site_of(stall)).items()
    }


async def test_only_what_changed_is_made_anew(stall: Stall) -> None:
    before, old = sources(stall), site_of(stall)
    form = stall.catalog.product("bol-gres").form
    await stall.catalog.save_product(replace(form, variants=(replace(form.variants[0], price=eur("26.00")),)))
    await stall.catalog.publish()
    after = sources(stall)
    changed = {re.sub(r"/[0-9a-f]{2}/", "/", path) for path, cid in after.items() if before.get(path) != cid}
    wanted = {"index.html", "shop.json"}
    for lang in ("fr", "en"):
        pages = ("index", "all/1", "search", "p/bol-gres")
        wanted |= {f"{lang}/{page}.html" for page in pages} | {f"{lang}/search/0.json"}
    # Search shows the tile of a small shop to readers without scripts.
    assert changed == wanted
    assert site_of(stall) != old
    assert stall.blocks.holes(site_of(stall)) == []


async def test_product_that_is_gone_is_gone_from_the_site(stall: Stall) -> None:
    await stall.catalog.remove_product("vase-boule")
    await stall.catalog.publish()
    files = read_site(stall, site_of(stall))
    assert not [path for path, body in files.items() if "vase-boule" in path or b"vase-boule" in body]
    assert set(sources(stall)) == set(files)


async def test_earlier_sites_go_with_the_next_clean_up(stall: Stall) -> None:
    first = site_of(stall)
    for price in ("26.00", "27.00"):
        form = stall.catalog.product("bol-gres").form
        await stall.catalog.save_product(replace(form, variants=(replace(form.variants[0], price=eur(price)),)))
        await stall.catalog.publish()
    stall.blocks.gc(min_age_s=-1)
    assert not stall.blocks.has(first)
    assert stall.blocks.holes(site_of(stall)) == []


async def test_lost_file_is_made_again(stall: Stall) -> None:
    """A kept row whose block is gone is no reason to name a hole."""
    path, cid = next((path, cid) for path, cid in sources(stall).items() if path.endswith("bol-gres.html"))
    assert path
    stall.blocks._index.remove([cid[4:]])
    form = stall.catalog.product("tasse-miel").form
    await stall.catalog.save_product(replace(form, title="Tasse"))
    await stall.catalog.publish()
    assert stall.blocks.holes(site_of(stall)) == []


class Broken(StaticShop):
    """A renderer that fails on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.version = "another"

    def files(self, catalog: CID, get: object, base_url: str = "") -> Iterator[SiteFile]:
        raise ZeroDivisionError


async def test_page_that_cannot_be_made_does_not_stop_the_shop(stall: Stall, caplog: pytest.LogCaptureFixture) -> None:
    old = site_of(stall)
    catalog = CatalogService(stall.config, stall.db, stall.blocks, stall.keys, lambda: NOW, renderer=Broken())
    await catalog.save_product(ProductForm(title="Neu", language="fr", variants=(VariantForm(price=eur("1.00")),)))
    published = await catalog.publish()
    assert (published.is_new, published.head.site) == (True, old)
    assert "the static shop could not be made" in caplog.text
    assert not (await catalog.publish()).is_new  # it would fail again
    await catalog.close()
    # The next publish with a working renderer makes up for it, although nothing else changed.
    assert (await stall.catalog.publish()).head.site != old


async def test_hostile_words_stay_words(stall: Stall) -> None:
    evil = '</script><script>alert(1)</script><img src=x onerror=alert(1)> " onmouseover="x'
    form = ProductForm(
        title=evil,
        handle="evil",
        description=evil,
        language="fr",
        variants=(VariantForm(price=eur("1.00"), sku='"><b>'),),
    )
    await stall.catalog.save_product(form)
    await stall.catalog.publish()
    for path, body in read_site(stall, site_of(stall)).items():
        if path.endswith(".html"):
            text = body.decode()
            assert text.count("<script") == text.count("</script>") == (2 if "/p/" in path else 1), path
            assert "onerror=alert(1)>" not in text.replace("&gt;", "").replace("\\u003e", ""), path


async def test_collections_and_news_have_their_pages(stall: Stall) -> None:
    """The node cannot write them yet; a catalog may hold them."""
    head = stall.catalog.current_head()
    assert head is not None

    def text(words: str) -> dict[str, object]:
        return {"texts": {"fr": words}, "fallback": "fr"}

    def document(kind: str, body: dict[str, object]) -> CID:
        made = sign_document(stall.keys.operator_private, kind, stall.keys.store_address, 1, NOW, body)
        stall.blocks.put(made.cid, made.bytes)
        return made.cid

    shelf = {
        "handle": "table",
        "title": text("La table"),
        "listings": ["vase-boule", "bol-gres", "gone"],
        "sort": "price",
    }
    news = {"handle": "four", "title": text("Nouveau four"), "text": text("Il **chauffe**."), "published": NOW}
    documents = {"collection/table": document(COLLECTION, shelf), "post/four": document(POST, news)}
    made = tree.update(head.catalog_root, documents, stall.blocks.get)
    stall.blocks.put_many(list(made.blocks.items()))
    files = {file.path: file.make() for file in StaticShop().files(made.root, stall.blocks.get)}
    page = files["fr/c/table.html"]
    assert isinstance(page, bytes)
    assert page.index(b"Bol en gr") < page.index(b"Vase boule")
    news_page = files["fr/news.html"]
    assert isinstance(news_page, bytes)
    assert "<strong>chauffe</strong>" in news_page.decode()
    assert "La table" in files["fr/index.html"].decode()  # type: ignore[union-attr]


async def test_export_is_brought_up_to_date_and_spares_other_folders(stall: Stall, tmp_path: Path) -> None:
    folder = tmp_path / "www"
    done = await stall.catalog.export_site(folder, "https://shop.example/")
    assert done["files"] == sum(path.is_file() for path in folder.rglob("*"))
    sitemap = (folder / "sitemap-1.xml").read_text()
    assert "<loc>https://shop.example/fr/index.html</loc>" in sitemap
    assert sitemap.count("<loc>") == 2 * (1 + 1 + len(HANDLES))
    assert "Sitemap: https://shop.example/sitemap.xml" in (folder / "robots.txt").read_text()
    kept = folder / "fr" / "all" / "1.html"
    stamp = kept.stat().st_mtime_ns
    assert (await stall.catalog.export_site(folder, "https://shop.example"))["removed"] == 0
    assert kept.stat().st_mtime_ns == stamp
    await stall.catalog.remove_product("vase-boule")
    await stall.catalog.publish()
    assert (await stall.catalog.export_site(folder, "https://shop.example"))["removed"] == 2
    assert not list(folder.rglob("vase-boule.html"))
    other = tmp_path / "photos"
    other.mkdir()
    (other / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(Refused) as caught:
        await stall.catalog.export_site(other)
    assert caught.value.code == "folder-not-empty"
    for url in ("ftp://x.example", "https://x.example/?a=b", 'https://x"'):
        with pytest.raises(Refused):
            await stall.catalog.export_site(folder, url)


async def test_empty_shop_has_a_site_too(tmp_path: Path) -> None:
    stall = make_stall(tmp_path)
    await stall.catalog.publish()
    assert "Ouverture prochaine" in read_site(stall, site_of(stall))["fr/index.html"].decode()
    await stall.close()


@pytest.mark.parametrize(
    ("text", "folded"),
    [("Écharpe Œuvre", "echarpe oeuvre"), ("GRÈS naïf ß", "gres naif ss"), ("Ærø Łódź", "aero lodz")],
)
def test_words_are_folded(text: str, folded: str) -> None:
    assert search.fold(text) == folded


def test_index_of_a_large_shop_is_in_parts_that_do_not_move() -> None:
    handles = [f"piece-{number}" for number in range(5_000)]
    assert search.file_count(1_000) == 1
    places = {handle: search.file_of(handle, search.file_count(5_000)) for handle in handles}
    assert set(places.values()) == set(range(16))
    assert all(search.file_of(handle, search.file_count(9_999)) == place for handle, place in places.items())
