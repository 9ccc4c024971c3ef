"""The pages do what they say: forms reach the node, and what was typed comes back when it is refused."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import pytest
from browsing import PAGES
from faces import Faces
from sqlalchemy import Connection
from stall import NOW, picture

from halle_node.blocks.kubo import KeptPin, KuboStatus, Trouble
from halle_node.chain.chain import ChainHealth
from halle_node.chain.endpoint import EndpointState
from halle_node.chain.watcher import Progress
from halle_node.db.schema.messages import message_inbox, message_outbox
from halle_storefront.assets import ASSETS
from halle_storefront.cache import MAX_PAGES, PageCache


@pytest.mark.parametrize("lang", ["fr", "en"])
@pytest.mark.parametrize("name", PAGES)
async def test_every_page_opens(faces: Faces, name: str, lang: str) -> None:
    side, path = PAGES[name]
    status, text = await faces.get(f"/{lang}" + path.format(store="0x" + faces.stall.keys.store_address.hex()), side)
    assert status == (404 if name == "error" else 200), text[:2000]
    assert f'<html lang="{lang}">' in text


async def test_root_leads_to_the_readers_language(faces: Faces) -> None:
    async with faces.stranger.get(
        faces.url("shop", "/"), headers={"Accept-Language": "fr"}, allow_redirects=False
    ) as answer:
        assert answer.headers["Location"] == "/fr/"


async def test_a_new_product_is_saved_photographed_published_and_sold(faces: Faces) -> None:
    fields = {
        "title": "Savon à l'olive",
        "description": "Simple.",
        "v_option1": [""],
        "v_option2": [""],
        "v_price": ["7,50"],
        "v_stock": ["20"],
        "v_weight": ["100"],
        "v_sku": [""],
        "kind": "physical",
        "delivery_proof": "none",
        "tracked": "1",
        "then": "save",
    }
    status, _, where = await faces.post("/fr/admin/products/new", **fields)
    assert (status, where) == (303, "/fr/admin/products/savon-a-l-olive?done=saved")
    from aiohttp import FormData

    form = FormData()
    form.add_field("photo", io.BytesIO(picture((90, 120, 60))), filename="olive.jpg", content_type="image/jpeg")
    form.add_field("alt", "Un savon vert")
    url = faces.url("local", "/fr/admin/products/savon-a-l-olive/photos")
    async with faces.owner.post(url, data=form, headers=faces.origin(), allow_redirects=False) as answer:
        assert answer.status == 303
    status, page, _ = await faces.post("/fr/admin/publish", a="b")
    assert status == 200
    photo = faces.stall.catalog.product("savon-a-l-olive").photos[0]
    async with faces.stranger.get(faces.url("shop", f"/img/{photo.cid}")) as answer:
        assert answer.content_type == "image/webp"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert "immutable" in answer.headers["Cache-Control"]
    _, page = await faces.get("/fr/p/savon-a-l-olive", "shop")
    assert "7,50\xa0€" in page
    assert str(photo.cid) in page


async def test_a_refused_product_comes_back_as_typed(faces: Faces) -> None:
    status, page, _ = await faces.post(
        "/fr/admin/products/new",
        title="Sans prix",
        v_option1=["Bleu"],
        v_option2=[""],
        v_price=[""],
        v_stock=["3"],
        v_weight=[""],
        v_sku=[""],
    )
    assert status == 409
    assert "Sans prix" in page
    assert "Bleu" in page
    assert "Il manque un prix" in page


async def test_a_removed_product_can_be_brought_back(faces: Faces) -> None:
    _, _, where = await faces.post("/fr/admin/products/bol-gres/remove", a="b")
    _, page = await faces.get(where)
    assert "/admin/products/bol-gres/restore" in page
    await faces.post("/fr/admin/products/bol-gres/restore", a="b")
    assert not faces.stall.catalog.product("bol-gres").removed


async def test_an_import_is_checked_applied_and_undone(faces: Faces) -> None:
    from aiohttp import FormData

    csv = "Handle,Title,Variant Price,Variant SKU\nlampe,Lampe,45.00,L1\n,,,\nfaux,Faux,-3,F1\n"
    form = FormData()
    form.add_field("file", io.BytesIO(csv.encode()), filename="p.csv", content_type="text/csv")
    url = faces.url("local", "/fr/admin/import")
    async with faces.owner.post(url, data=form, headers=faces.origin()) as answer:
        page = await answer.text()
        assert answer.status == 200, page[:1500]
    assert "lampe" in page
    action = page.split('/apply"')[0].split('action="')[-1] + "/apply"
    status, page, _ = await faces.post(action, a="b")
    assert status == 200
    assert faces.stall.catalog.product("lampe").form.title == "Lampe"
    undo = page.split('/undo"')[0].split('action="')[-1] + "/undo"
    assert (await faces.post(undo, a="b"))[0] == 303


async def test_moves_reach_the_trade_room_with_their_fields(faces: Faces) -> None:
    key = "a1" * 16
    status, _, where = await faces.post(f"/fr/admin/orders/{key}/act/ship", carrier="Colissimo", tracking="6A1", url="")
    assert (status, where) == (303, f"/fr/admin/orders/{key}?done=done")
    await faces.post(f"/fr/admin/orders/{key}/act/refund", amount="12,50")
    await faces.post(f"/fr/market/orders/{'e5' * 16}/act/approve", a="b")
    assert faces.stall.trade.done == [
        (key, "ship", {"carrier": "Colissimo", "tracking": "6A1"}),
        (key, "refund", {"amount": 12_500_000_000_000_000_000}),
        ("e5" * 16, "approve", {}),
    ]


async def test_a_split_is_accepted_as_the_page_showed_it(faces: Faces) -> None:
    key = "d4" * 16
    _, page = await faces.get(f"/fr/admin/orders/{key}")
    form = page.split(f'/{key}/act/accept_settlement"')[1].split("</form>")[0]
    shown = form.split('name="buyer_share" value="')[1].split('"')[0]
    assert int(shown) == 40 * 10**18
    await faces.post(f"/fr/admin/orders/{key}/act/accept_settlement", buyer_share=shown)
    assert faces.stall.trade.done == [(key, "accept_settlement", {"buyer_share": shown})]


async def test_an_altered_quote_shows_what_was_altered_and_cannot_be_paid(faces: Faces) -> None:
    for lang, parts in (
        ("fr", ("le montant", "qui tranche un litige", "votre temps pour vérifier")),
        ("en", ("the amount", "who decides a dispute", "your time to inspect")),
    ):
        status, page = await faces.get(f"/{lang}/market/orders/{'7c' * 16}")
        assert status == 200
        for part in parts:
            assert part in page
        assert "/act/approve" not in page
        assert "/act/cancel" in page


async def test_a_checkout_without_delivery_comes_back_filled_in(faces: Faces) -> None:
    status, page, _ = await faces.post(
        "/fr/market/checkout/0x" + "7a" * 20,
        name="Noé",
        street="12 rue",
        city="Roubaix",
        postcode="59100",
        country="FR",
    )
    assert status == 409
    assert "12 rue" in page
    status, _, where = await faces.post(
        "/fr/market/checkout/0x" + "7a" * 20,
        name="Noé",
        street="12 rue",
        city="Roubaix",
        postcode="59100",
        country="FR",
        rate_id="colissimo",
        token_symbol="hEUR",
    )
    assert status == 303
    assert "/market/orders/" in where


async def test_the_public_status_page_needs_the_whole_key_and_hides_the_address(faces: Faces) -> None:
    key = "a1" * 16
    status, page = await faces.get(f"/fr/o/{key}", "shop")
    assert status == 200
    assert "Longues-Haies" not in page
    assert "Sonnez" not in page
    for other in (key[:31], "0" * 32, "e5" * 16):
        assert (await faces.get(f"/fr/o/{other}", "shop"))[0] == 404


async def test_a_silent_chain_leaves_the_pages_open(faces: Faces) -> None:
    faces.stall.chain.down = True
    for path in ("/fr/market/wallet", "/fr/admin/network"):
        status, page = await faces.get(path)
        assert status == 200
        assert "La chaîne est injoignable" in page


async def test_the_network_page_says_whether_others_reach_the_shop(faces: Faces) -> None:
    status, page = await faces.get("/fr/admin/network")
    assert status == 200
    assert "On vous joint par un relais" in page
    assert "vous garde une place" in page
    assert "jointe par 0, pas par 2" in page
    faces.stall.network.reach = replace(faces.stall.network.reach, relays={}, listening=("/ip4/192.168.1.7/tcp/4480",))
    assert "Nobody can reach you" in (await faces.get("/en/admin/network"))[1]


async def test_the_network_page_says_how_the_chains_endpoints_do(faces: Faces) -> None:
    assert "Ses points d’accès" not in (await faces.get("/fr/admin/network"))[1]
    states = (
        EndpointState("one.example.org", "set-aside", 1742, 0, 40, 0, "rpc-lies", "It gives other logs."),
        EndpointState("two.example.org", "asked", 1742, 0, 55, 12),
        EndpointState("three.example.org", "behind", 1600, 142, 20, 0),
    )
    faces.stall.chain.shown = ChainHealth(
        Progress(0, 900, 1742, 300), states, "rpc-disagree", "They differ.", "Add one."
    )
    page = (await faces.get("/fr/admin/network"))[1]
    for words in (
        "one.example.org",
        "pas cru",
        "Ce point d’accès a dit ce que la chaîne n’a pas",
        "en retard",
        "12 % d’échecs",
        "jusqu’au bloc 899 sur 1742",
        "300 blocs n’ont été annoncés que par un seul",
        "Deux points d’accès à la chaîne se contredisent",
        "Ajoutez-en un troisième",
    ):
        assert words in page, words


async def test_what_waits_is_shown_with_its_reason_and_tried_again(faces: Faces) -> None:
    assert "Ce qui attend, et pourquoi" in (await faces.get("/fr/admin/network"))[1]
    page = (await faces.get("/fr/admin/network/waiting"))[1]
    for words in ("Aucun message n’attend", "Rien n’est mis de côté", "Personne n’a encore mis", "TooEarly", "0xabab"):
        assert words in page, words
    faces.stall.chain.outbox.rows = []
    sender, message_id = b"\x5e" * 20, b"\x11" * 16
    common = {"message_id": message_id, "thread": bytes(32), "type": "order/request", "message": b"?"}
    queued = {"contact": b"?", "state": "queued", "attempts": 3, "next_at_ms": (NOW + 3_600) * 1000, "created_at": NOW}
    aside = {"state": "quarantined", "received_at": NOW, "error_code": "not-for-sale", "error_text": "<i>No</i>"}

    def write(conn: Connection) -> None:
        conn.execute(
            message_outbox.insert().values(recipient=sender, error_code="peer-unreachable", **common, **queued)
        )
        conn.execute(message_inbox.insert().values(sender=sender, **common, **aside))

    await faces.stall.db.write(write)
    page = (await faces.get("/fr/admin/network/waiting"))[1]
    for words in ("Commande", "3 essais", "Prochain essai dans", "&lt;i&gt;No&lt;/i&gt;", message_id.hex()):
        assert words in page, words
    assert "Aucune transaction n’attend" in page
    assert (await faces.post("/fr/admin/network/waiting/retry"))[0] == 303
    assert faces.stall.chain.outbox.nudged == 1
    refused = {"sender": "0x" + sender.hex(), "message_id": "ff" * 16}
    status, page, _ = await faces.post("/fr/admin/network/waiting/quarantine", **refused)
    assert status == 404
    assert "Aucun message de ce genre" in page


async def test_the_network_page_says_what_the_ipfs_daemon_keeps(faces: Faces) -> None:
    assert "Aucun n’est configuré" in (await faces.get("/fr/admin/network"))[1]
    root = faces.stall.catalog.current_head().catalog_root
    kept = KuboStatus("ok", "https://kubo.example.org:443", version="0.43.0", seq=7, kept_at=1_800_000_000)
    faces.stall.kubo.shown = replace(kept, pins=(KeptPin("catalog", root, recursive=True),), name="k51abc", named_at=1)
    status, page = await faces.get("/fr/admin/network")
    assert status == 200
    for words in ("conserve votre boutique", "Kubo 0.43.0", "/ipns/k51abc", str(root)):
        assert words in page
    down = Trouble("kubo-down", "The <b>daemon</b> at x does not answer.", "Start it.", 1_800_000_000)
    faces.stall.kubo.shown = replace(kept, state="failed", trouble=down, is_private=False)
    assert "Le démon IPFS ne répond pas" in (await faces.get("/fr/admin/network"))[1]
    assert "&lt;b&gt;daemon" in (await faces.get("/en/admin/network"))[1]


async def test_an_empty_shop_shows_its_first_steps(faces: Faces, tmp_path) -> None:
    from stall import make_stall

    from halle_storefront.admin.home import setup_steps

    empty = make_stall(tmp_path / "empty")
    assert [step.done for step in setup_steps(empty)] == [False] * 4
    await empty.close()
    assert all(step.done for step in setup_steps(faces.stall))


async def test_shop_pages_answer_not_modified(faces: Faces) -> None:
    async with faces.stranger.get(faces.url("shop", "/fr/p/bol-gres")) as answer:
        etag = answer.headers["ETag"]
    async with faces.stranger.get(faces.url("shop", "/fr/p/bol-gres"), headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304


async def test_only_images_leave_the_image_address(faces: Faces) -> None:
    head = faces.stall.catalog.current_head()
    for cid in (head.catalog_root, "bafkreibogus", "..%2F..%2Fetc%2Fpasswd"):
        async with faces.stranger.get(faces.url("shop", f"/img/{cid}")) as answer:
            assert answer.status == 404


def test_the_page_cache_stays_bounded() -> None:
    cache = PageCache()
    for number in range(MAX_PAGES + 50):
        cache.store(number, "page")
    assert len(cache) == MAX_PAGES
    assert cache.find(0) is None


def test_a_cached_page_grows_old() -> None:
    now = [0.0]
    cache = PageCache(lambda: now[0])
    cache.store("a", "page")
    assert cache.find("a") is not None
    now[0] = 6.0
    assert cache.find("a") is None


def test_the_style_sheet_and_scripts_stay_small() -> None:
    assert len(ASSETS["halle.css"].gzipped) <= 12 * 1024
    assert sum(len(asset.gzipped) for name, asset in ASSETS.items() if name.endswith(".js")) <= 35 * 1024


async def test_a_peer_is_blocked_and_taken_back_and_undone(faces: Faces) -> None:
    path, subject = "/fr/admin/network", "203.0.113.0/24"
    status, _, where = await faces.post(f"{path}/rules", subject=subject, list="block", note="Trop de bruit")
    assert (status, where) == (303, f"{path}?done=blocked#rules")
    _, page = await faces.get(path, "local")
    assert subject in page
    assert "Trop de bruit" in page
    assert "400 sur 1" in page  # a sync under way
    status, _, where = await faces.post(f"{path}/rules/remove", subject=subject, list="block")
    assert status == 303
    _, page = await faces.get(where.split("#")[0], "local")
    assert 'value="203.0.113.0/24"' in page  # the undo
    assert faces.stall.access.listing() == []
    status, page, _ = await faces.post(f"{path}/rules", subject="nonsense", list="block")
    assert status in (400, 409, 422)


async def test_forms_of_side_paths_reach_the_trade_room(faces: Faces) -> None:
    """Percent, pieces, ticks, chosen messages and files come out as the trade room takes them."""
    from aiohttp import FormData

    case, order = "29" * 16, "18" * 16
    await faces.post(f"/fr/admin/roles/cases/{case}/act/rule", buyer_bps="37,5", text="Raisons")
    await faces.post(f"/fr/admin/orders/{order}/act/receive_return", restock="1")
    await faces.post(f"/fr/admin/orders/{'a1' * 16}/act/ship", lines="CB-M:1", complete="1")
    form = FormData()
    for name, value in (("text", "Déchirée"), ("chat_shown", "1"), ("chat", "0a" * 16)):
        form.add_field(name, value)
    form.add_field("photos", io.BytesIO(b"one"), filename="1.jpg", content_type="image/jpeg")
    form.add_field("photos", io.BytesIO(b"two"), filename="2.jpg", content_type="image/jpeg")
    url = faces.url("local", f"/fr/admin/orders/{order}/act/dispute")
    async with faces.owner.post(url, data=form, headers=faces.origin(), allow_redirects=False) as answer:
        assert answer.status == 303
    paper = faces.stall.trade.papers[0].name
    await faces.post(f"/fr/market/certificates/{paper}/act/transfer_warranty", to="0x" + "77" * 20)
    assert faces.stall.trade.done == [
        (case, "rule", {"buyer_bps": 3750, "text": "Raisons"}),
        (order, "receive_return", {"restock": True}),
        ("a1" * 16, "ship", {"lines": "CB-M:1", "complete": True}),
        (order, "dispute", {"text": "Déchirée", "photos": [b"one", b"two"], "chat": ("0a" * 16,)}),
        (paper, "transfer_warranty", {"to": "0x" + "77" * 20}),
    ]


async def test_every_legal_move_has_words_and_a_form_that_fits(faces: Faces) -> None:
    """A move of the protocol or of a certificate that no page can offer would be a move that nobody can make."""
    import inspect

    from halle_node.trade.legal import CERTIFICATE_MOVES
    from halle_node.trade.moves import DEFAULTS, Moves
    from halle_node.trade.talking import Talking
    from halle_protocol.order import ACTIONS
    from halle_storefront.moves import MOVES

    legal = {rule.name for rule in ACTIONS} | set(CERTIFICATE_MOVES.values())
    assert legal - set(MOVES) == set()
    made = Moves(None, Talking(None))  # type: ignore[arg-type]
    assert legal - set(made.names) == set()
    for name in legal:
        takes = list(inspect.signature(made._by_name[name]).parameters)[1:]
        asked = {field.name for field in MOVES[name].fields}
        assert asked <= set(takes), name
        needed = set(takes) - set(DEFAULTS.get(name, {}))
        assert needed <= {field.name for field in MOVES[name].fields if field.required or field.kind == "choice"}, name


async def test_a_role_is_offered_and_its_refusal_is_shown(faces: Faces) -> None:
    status, _, _ = await faces.post("/fr/admin/roles/arbiter", fee="2,5", terms="Je lis tout.", days="5", then="offer")
    assert status == 303
    assert faces.stall.trade.done == [("arbiter", "offer", {"fee_bps": 250, "terms": "Je lis tout."})]
    status, page, _ = await faces.post("/fr/admin/roles/arbiter", fee="2", terms="", then="offer")
    assert status == 409
    assert "Un rôle" in page


async def test_cover_is_asked_for_paid_and_answered_from_the_pages(faces: Faces) -> None:
    buyer, asked = (cover.key for cover in faces.stall.trade.insured[:2])
    order, store = "07" * 16, "0x" + "d3" * 20
    await faces.post(f"/fr/market/orders/{order}/cover", choice=f"{store}/0", days="30", cover="12,5", note="Merci")
    await faces.post(f"/fr/market/orders/{order}/cover", choice=f"{store}/x")
    await faces.post(f"/fr/market/covers/{buyer}/buy", premium=str(356 * 10**16))
    await faces.post(f"/fr/admin/roles/covers/{asked}/offer", premium="3", days="", note="Oui")
    await faces.post(f"/fr/admin/roles/covers/{asked}/decline", note="Non")
    assert faces.stall.trade.done == [
        (order, "ask_cover", {"underwriter": store, "line": 0, "cover": 125 * 10**17, "days": 30, "note": "Merci"}),
        (order, "ask_cover", {"underwriter": store, "line": -1, "cover": None, "days": None, "note": ""}),
        (buyer, "buy", {"premium": 356 * 10**16}),
        (asked, "offer", {"days": None, "note": "Oui", "premium": 3 * 10**18}),
        (asked, "decline", {"note": "Non"}),
    ]


async def test_owners_rules_and_chosen_parties_are_saved(faces: Faces) -> None:
    await faces.post(
        "/fr/admin/settings/rules",
        enabled="1",
        max_total="150,00",
        countries="fr, be",
        days=["0", "4"],
        opens="09:00",
        closes="18:30",
        time_zone="Europe/Paris",
    )
    rules = faces.stall.trade.rules
    assert (rules.max_total_minor, rules.countries, rules.days) == (15_000, ("FR", "BE"), (0, 4))
    _, page = await faces.get("/fr/admin/settings")
    assert "150.0" in page
    await faces.post("/fr/admin/settings/parties", arbiter="0x" + "a1" * 20, backup="", carrier_other="0x" + "99" * 20)
    named = {"arbiter": "0x" + "a1" * 20, "backup": "", "carrier": "0x" + "99" * 20}
    assert faces.stall.trade.done == [("parties", "choose", named)]


async def test_a_file_of_an_order_is_never_run(faces: Faces) -> None:
    base = faces.url("local", f"/fr/admin/orders/{'18' * 16}/file/")
    for name in ("page", "liar"):
        async with faces.owner.get(base + name) as answer:
            assert answer.content_type == "application/octet-stream"
            assert answer.headers["Content-Disposition"].startswith("attachment")
            assert "sandbox" in answer.headers["Content-Security-Policy"]
    async with faces.owner.get(base + "photo") as answer:
        assert answer.content_type == "image/webp"


async def test_licence_keys_are_put_on_the_shelf(faces: Faces) -> None:
    await faces.post("/fr/admin/products/bol-gres/digital", licences="A-1\nA-2", again="2", sku="")
    assert faces.stall.trade.done == [("bol-gres", "licences", {"keys": ["A-1", "A-2"], "resends": 2})]


async def test_backup_is_made_from_the_settings_and_asked_for_until_then(
    faces: Faces, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("disk") / "shop.halle"
    _, page = await faces.get("/fr/admin/")
    assert "Faire une sauvegarde" in page
    status, _, where = await faces.post("/fr/admin/settings/backup", file=str(file))
    assert (status, where) == (303, "/fr/admin/settings#backup")
    while faces.stall.backup.state().state in ("packing", "checking"):
        await asyncio.sleep(0.01)
    _, page = await faces.get("/fr/admin/settings")
    assert str(file) in page
    assert "écrite et relue" in page
    _, page = await faces.get("/fr/admin/")
    assert "Faire une sauvegarde" not in page
    status, page, _ = await faces.post("/fr/admin/settings/backup", file="shop.halle")
    assert status == 409
    assert "chemin complet" in page


async def test_customer_is_erased_from_a_closed_order_when_the_box_is_ticked(faces: Faces) -> None:
    closed = next(order for order in faces.stall.trade.orders(role="merchant") if order.status == "closed")
    _, page = await faces.get(f"/fr/admin/orders/{closed.order_key}")
    assert "Effacer ce client" in page
    _, page = await faces.get(f"/fr/admin/orders/{'a1' * 16}")
    assert "Effacer ce client" not in page
    path = f"/fr/admin/orders/{closed.order_key}/erase-customer"
    status, page, _ = await faces.post(path, a="b")
    assert status == 409
    assert faces.stall.trade.done == []
    status, _, where = await faces.post(path, sure="1")
    assert (status, where) == (303, f"/fr/admin/orders/{closed.order_key}?done=erased")
    assert faces.stall.trade.done == [(closed.buyer, "erase_customer", {"apply": True})]
