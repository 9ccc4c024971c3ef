"""`halle product`, `halle import` and `halle search` on a home whose node does not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Answer, Halle
from halle_cli.demo.drawing import draw

GOOD_ROWS = "Handle,Title,Variant Price\nbol,Bol bleu,12.50\n"


def handles(halle: Halle) -> set[str]:
    return {product["handle"] for product in halle("product", "list", "--json").json}


def shown(halle: Halle, handle: str) -> Any:
    return halle("product", "show", handle, "--json").json


def add(halle: Halle, title: str, *more: str | Path) -> Answer:
    return halle("product", "add", "--title", title, "--price", "12.50", *more)


def test_product_list_is_empty_with_a_next_step(halle: Halle) -> None:
    found = halle("product", "list")
    assert (found.status, found.out) == (0, "")
    assert "halle product add" in found.err


def test_product_add_is_listed_and_shown(halle: Halle, tmp_path: Path) -> None:
    picture = tmp_path / "carnet.png"
    draw(picture, "shirt", "#3b6ea5", "#f3ece1")
    made = add(halle, "Carnet ligné", "--stock", "20", "--photo", picture, "--alt", "Un carnet", "--publish")
    assert made.status == 0
    assert "carnet-ligne" in made.out
    assert "head 1" in made.out
    detail = shown(halle, "carnet-ligne")
    assert detail["stock"][0]["on_hand"] == 20
    assert detail["form"]["variants"][0]["price"] == {"amount_minor": 1250, "currency": "EUR"}
    assert "Carnet ligné" in halle("product", "show", "carnet-ligne").out
    assert "12.50 EUR" in halle("product", "list").out


@pytest.mark.parametrize(
    "title", ['<script>alert(1)</script> & "Co"', "[bold]markup[/] [/nothing]", "名前 🥐", "=cmd|' /C calc'!A0"]
)
def test_product_titles_are_shown_as_they_are(halle: Halle, title: str) -> None:
    assert add(halle, title, "--handle", "one").status == 0
    assert shown(halle, "one")["form"]["title"] == title
    assert title in halle("product", "show", "one").out
    assert title in halle("product", "list").out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--price", "abc"), "amount-malformed"),
        (("--price", "-1"), "price-negative"),
        (("--price", "1.234"), "amount-malformed"),
        (("--price", "1e9"), "amount-malformed"),
        (("--price", "9" * 40), "amount-too-large"),
        (("--handle", "../etc"), "handle-malformed"),
        (("--title", ""), "title-missing"),
        (("--title", "x" * 5000), "title-too-long"),
    ],
)
def test_product_add_refuses_what_cannot_be_sold(halle: Halle, options: tuple[str, ...], code: str) -> None:
    made = add(halle, "Bol", *options)
    assert made.status != 0
    assert made.code
    assert handles(halle) == set()


def test_product_add_says_what_stands_when_only_the_photo_is_refused(halle: Halle, tmp_path: Path) -> None:
    fake = tmp_path / "photo.png"
    fake.write_text("not a picture")
    made = add(halle, "Bol", "--photo", fake)
    assert (made.status, made.code) == (3, "image-format")
    assert "bol" in made.out + made.err


def test_product_stock_changes_what_is_on_the_shelf(halle: Halle) -> None:
    add(halle, "Bol")
    assert halle("product", "stock", "bol", "7").status == 0
    assert shown(halle, "bol")["stock"][0]["on_hand"] == 7
    assert halle("product", "stock", "bol", "--", "-1").status == 2
    assert halle("product", "stock", "bol", "3", "--sku", "nope").status == 3
    assert shown(halle, "bol")["stock"][0]["on_hand"] == 7


def test_product_removal_can_be_undone(halle: Halle) -> None:
    add(halle, "Bol", "--publish")
    assert halle("product", "remove", "bol").status == 0
    assert handles(halle) == set()
    assert halle("product", "restore", "bol").status == 0
    assert handles(halle) == {"bol"}
    assert "Nothing has changed" in halle("product", "publish").out


@pytest.mark.parametrize("words", [("show", "nope"), ("stock", "nope", "1"), ("remove", "nope"), ("restore", "nope")])
def test_product_commands_refuse_an_unknown_handle(halle: Halle, words: tuple[str, ...]) -> None:
    found = halle("product", *words)
    assert (found.status, found.code) == (3, "product-unknown")


def test_publish_is_found_by_search_without_a_network(halle: Halle) -> None:
    add(halle, "Bol bleu", "--publish")
    assert [hit["handle"] for hit in halle("search", "bleu", "--json").json["hits"]] == ["bol-bleu"]
    assert "Bol bleu" in halle("search", "bol").out
    nothing = halle("search", "xyzzy")
    assert (nothing.status, nothing.out) == (0, "")


@pytest.mark.parametrize(
    "words", ['"never closed', "AND OR NOT", "a:b:c *", "title:[a TO", "\\", "😀" * 300, "-x +y ^2"]
)
def test_search_takes_any_words(halle: Halle, words: str) -> None:
    assert halle("search", "--", words).status == 0


# --- import


def test_import_tells_first_and_changes_nothing(halle: Halle, market_csv: Path) -> None:
    told = halle("import", market_csv)
    assert "Nothing is changed yet" in told.err
    assert "price-negative" in told.out
    assert told.status == 1  # one row of the demo's file is wrong on purpose
    assert handles(halle) == set()


def test_import_applies_and_is_taken_back(halle: Halle, market_csv: Path) -> None:
    report = halle("import", market_csv, "--apply", "--json").json
    assert report["totals"]["created"] == 8
    assert report["totals"]["images"] > 0
    assert len(handles(halle)) == 8
    again = halle("import", market_csv, "--apply", "--json").json
    assert again["totals"]["created"] == 0
    assert halle("import", market_csv, "--undo", str(report["import_id"])).status == 0
    assert handles(halle) == set()
    assert halle("import", market_csv, "--undo", "99").code == "import-unknown"


def test_product_list_is_complete_beyond_one_page(halle: Halle, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("Handle,Title,Variant Price\n" + "".join(f"p{n},Product {n},{n + 1}\n" for n in range(130)))
    assert halle("import", path, "--apply").status == 0
    assert len(handles(halle)) == 130


BROKEN = {
    "empty": (b"", "file-empty"),
    "only a heading": (b"Handle,Title,Variant Price\n", ""),
    "columns missing": (b"a,b\n1,2\n", "columns-missing"),
    "noise": (bytes(range(256)) * 40, ""),
    "zeros": (b"\0" * 5000, ""),
    "quote never closed": (b'Handle,Title,Variant Price\nbol,"Bol,12\nverre,Verre,3\n', ""),
    "latin 1": ("Handle,Title,Variant Price\nbol,Bol ébréché,12\n".encode("latin-1"), ""),
    "utf-16": ("Handle,Title,Variant Price\nbol,Bol,12\n".encode("utf-16"), ""),
    "negative price": (b"Handle,Title,Variant Price\nbol,Bol,-3\n", ""),
    "no price": (b"Handle,Title,Variant Price\nbol,Bol,\n", ""),
    "ragged": (b"Handle,Title,Variant Price\nbol\nverre,Verre,3,4,5,6\n", ""),
    "huge cell": (b"Handle,Title,Variant Price\nbol," + b"x" * 300_000 + b",3\n", ""),
    "picture": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_import_answers_a_broken_file_in_words(halle: Halle, tmp_path: Path, name: str) -> None:
    content, code = BROKEN[name]
    path = tmp_path / "products.csv"
    path.write_bytes(content)
    told = halle("import", path, "--apply")
    assert told.status in (0, 1, 2, 3, 5)
    assert told.code or told.out or told.err
    if code:
        assert (told.status, told.code) == (3, code)
    path.write_text(GOOD_ROWS)
    assert halle("import", path, "--apply").status == 0
    assert "bol" in handles(halle)


def test_import_says_so_when_the_file_is_absent_or_a_folder(halle: Halle, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        told = halle("import", path)
        assert told.status == 2
        assert str(path) in told.err.replace("\n", "")


def test_import_reads_no_picture_outside_the_file_s_folder(halle: Halle, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    draw(tmp_path / "secret.png", "shirt", "#000000", "#ffffff")
    path = folder / "products.csv"
    for src in ("../secret.png", str(tmp_path / "secret.png"), f"file://{tmp_path}/secret.png"):
        path.write_text(f"Handle,Title,Variant Price,Image Src\nbol,Bol,12,{src}\n")
        report = halle("import", path, "--json").json
        assert report["totals"]["images"] == 0, src
