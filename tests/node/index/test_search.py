"""Search: words without accents, facets, order, pages, and an index that may be lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tantivy

from halle_node.index.search import SearchIndex
from halle_node.index.writing import mark_all_unsearchable
from node.index.hall import Hall, Listener, open_listener, priced


@pytest.fixture
async def stocked(listener: Listener, hall: Hall) -> Listener:
    camille, otto = hall.merchant(1), hall.merchant(2)
    camille.introduce("Chez Camille")
    camille.list("a", "Chemise bleue d'été", **priced(3_000), categories=[{"value": "Mode"}])
    camille.list("b", "Chemises à rayures", **priced(2_000, availability="out_of_stock"))
    camille.list("c", "Crème brûlée", **priced(500), kind="service", description=text("Un dessert à la vanille"))
    otto.introduce("Otto", country="DE")
    shoes = {"title": text("Running shoes", fr="Chaussures de course")}
    otto.list("a", "Running shoes", **priced(9_900, "USD"), **shoes)
    await listener.hear(camille)
    await listener.hear(otto)
    return listener


def text(english: str, **others: str) -> dict[str, object]:
    return {"texts": {"en": english, **others}, "fallback": "en"}


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        ("chemise bleue", {"Chemise bleue d'été"}),
        ("CHEMISE ÉTÉ", {"Chemise bleue d'été"}),
        ("ete", {"Chemise bleue d'été"}),
        ("chemise", {"Chemise bleue d'été", "Chemises à rayures"}),
        ("creme brulee", {"Crème brûlée"}),
        ("vanille", {"Crème brûlée"}),
        ("shoe", {"Chaussures de course"}),
        ("running", {"Chaussures de course"}),
        ("chaussure", {"Chaussures de course"}),
        ("chemsie", {"Chemise bleue d'été", "Chemises à rayures"}),
        ("chem", {"Chemise bleue d'été", "Chemises à rayures"}),
        ("xyzzy", set()),
        ('title:"(( OR', set()),
        ("*", {"Chemise bleue d'été", "Chemises à rayures", "Crème brûlée", "Chaussures de course"}),
    ],
)
async def test_search_finds_by_words(stocked: Listener, words: str, titles: set[str]) -> None:
    assert set(stocked.titles(words)) == titles


async def test_search_narrows_by_facets_and_counts_them(stocked: Listener) -> None:
    page = stocked.index.search("")
    assert page.total == 4
    counted = {one.value: one.count for one in page.facets["currency"]}
    assert counted == {"EUR": 3, "USD": 1}
    assert {one.value for one in page.facets["country"]} == {"FR", "DE"}
    assert stocked.titles(facets={"kind": "service"}) == ["Crème brûlée"]
    assert stocked.titles("chemise", facets={"availability": ["in_stock"]}) == ["Chemise bleue d'été"]
    assert stocked.titles(facets={"country": "DE", "currency": "EUR"}) == []
    assert len(stocked.titles(facets={"country": ["DE", "FR"], "unknown": "x"})) == 4


async def test_search_sorts_and_pages(stocked: Listener) -> None:
    prices = [hit.price.amount_minor for hit in stocked.index.search(sort="price").hits]
    assert prices == [500, 2_000, 3_000, 9_900]
    assert [hit.price.amount_minor for hit in stocked.index.search(sort="-price", offset=1, limit=2).hits] == [
        3_000,
        2_000,
    ]
    assert stocked.index.search(offset=100).hits == ()
    assert stocked.index.search(offset=-5, limit=0).limit == 1


async def test_search_speaks_the_buyers_language(stocked: Listener) -> None:
    assert stocked.index.search("running", locale="fr-BE").hits[0].title == "Chaussures de course"
    assert stocked.index.search("running", locale="de").hits[0].title == "Running shoes"


async def test_lost_search_index_is_made_again(tmp_path: Path, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("a", "Chemise")
    async with open_listener(tmp_path, hall) as listener:
        await listener.hear(merchant)
    shutil.rmtree(tmp_path / "search")
    async with open_listener(tmp_path, hall) as listener:
        await listener.index.commit_search()
        assert listener.titles("chemise") == ["Chemise"]


async def test_damaged_search_index_is_made_again(tmp_path: Path, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("a", "Chemise")
    async with open_listener(tmp_path, hall) as listener:
        await listener.hear(merchant)
    for path in (tmp_path / "search").rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    async with open_listener(tmp_path, hall) as listener:
        await listener.index.commit_search()
        assert listener.titles("chemise") == ["Chemise"]


async def test_dead_writer_is_replaced_and_nothing_is_lost(listener: Listener, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("a", "Chemise")
    await listener.hear(merchant)
    search = listener.index._search.index
    # A signed number where an unsigned one belongs kills tantivy's writer thread.
    with pytest.raises(ValueError, match=r"(?s).*"):
        _poison(search)
    merchant.list("b", "Robe")
    await listener.hear(merchant)
    assert set(listener.titles()) == {"Chemise", "Robe"}


async def test_unfinished_search_work_is_done_after_a_restart(tmp_path: Path, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("a", "Chemise")
    async with open_listener(tmp_path, hall) as listener:
        await listener.index.ingest_head(merchant.frame(), "peer1")
        assert listener.titles() == []
    async with open_listener(tmp_path, hall) as listener:
        await listener.index.commit_search()
        assert listener.titles() == ["Chemise"]


async def test_search_index_is_kept_when_changes_are_due_at_the_start(tmp_path: Path, hall: Hall) -> None:
    merchant = hall.merchant(1)
    for handle in ("a", "b", "c"):
        merchant.list(handle, "Chemise")
    async with open_listener(tmp_path, hall) as listener:
        await listener.hear(merchant)
        merchant.list("a", "Robe")
        merchant.list("d", "Jupe")
        del merchant.items["listing/b"]
        await listener.index.ingest_head(merchant.frame(), "peer1")
    async with open_listener(tmp_path, hall) as listener:
        assert "Chemise" in listener.titles("chemise")  # found before anything is done again
        await listener.index.commit_search()
        assert set(listener.titles()) == {"Robe", "Chemise", "Jupe"}


async def test_search_index_is_kept_when_a_commit_was_not_noted(tmp_path: Path, hall: Hall) -> None:
    merchant = hall.merchant(1)
    merchant.list("a", "Chemise")
    async with open_listener(tmp_path, hall) as listener:
        await listener.hear(merchant)
        await listener.db.write(mark_all_unsearchable)  # as after a kill between the two commits
    async with open_listener(tmp_path, hall) as listener:
        assert listener.titles() == ["Chemise"]
        await listener.index.commit_search()
        assert listener.titles() == ["Chemise"]


def _poison(search: SearchIndex) -> None:
    for _ in range(20_000):
        search._writer.add_document(tantivy.Document(id=1, title="poison"))
    search._writer.commit()
