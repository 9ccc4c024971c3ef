"""`halle site` on a home whose node does not run."""

from __future__ import annotations

import json
from pathlib import Path

from cli.conftest import Halle


def test_site_is_shown_and_exported(halle: Halle, tmp_path: Path) -> None:
    told = halle("site", "show")
    assert told.status == 0
    assert "halle product publish" in told.out
    refused = halle("site", "export", tmp_path / "www")
    assert (refused.status, refused.code) == (3, "nothing-published")
    halle("product", "add", "--title", "Bol bleu", "--price", "12.50", "--stock", "2", "--publish")
    found = halle("site", "show", "--json").json
    assert found["site"].startswith("bafy")
    assert found["name"].startswith("k51")
    assert found["value"].endswith("/site")
    done = halle("site", "export", tmp_path / "www", "--json").json
    assert done["files"] == sum(path.is_file() for path in (tmp_path / "www").rglob("*"))
    assert "Bol bleu" in (tmp_path / "www" / "en" / "index.html").read_text(encoding="utf-8")
    shop = json.loads((tmp_path / "www" / "shop.json").read_text(encoding="utf-8"))
    assert shop["type"] == "halle/site/1"
    assert "files" in halle("site", "export", tmp_path / "www").out
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    refused = halle("site", "export", tmp_path / "other")
    assert (refused.status, refused.code) == (3, "folder-not-empty")
