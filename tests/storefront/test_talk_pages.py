"""Pages and API of conversations and notices, over a stall whose trade room is scripted and whose notices are real."""

from __future__ import annotations

import io
import re

import pytest
from aiohttp import FormData
from stall import OTHER_STORE

from halle_protocol.keys import to_checksum

TALK, ASKED = "5a" * 16, "6b" * 16


async def post_form(faces, path: str, form: FormData) -> tuple[int, str]:
    url = faces.url("local", path)
    async with faces.owner.post(url, data=form, headers=faces.origin(), allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location", "")


async def test_inbox_counts_and_shows_who_wrote(faces) -> None:
    status, page = await faces.get("/en/admin/messages")
    assert status == 200
    assert "Noé Lambert" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert re.search(r'/en/admin/messages".*?<span class="count">.*?1</span>', page)
    _, unread = await faces.get("/en/admin/messages?view=unread")
    assert "Norway" not in unread
    _, french = await faces.get("/fr/market/messages")
    assert "Atelier Camille" in french


async def test_conversation_stands_beside_who_the_customer_is(faces) -> None:
    _, page = await faces.get(f"/en/admin/messages/{TALK}")
    for words in ("Chemise en lin bleue", "€191.80", "Aime le bleu", "Order a1a1a1a1", "Block this writer"):
        assert words in page
    assert (TALK, "read", {}) in faces.stall.trade.done
    assert f'src="/en/admin/messages/{TALK}/file/' in page


async def test_page_that_renews_itself_has_seen_nothing(faces) -> None:
    url = faces.url("local", f"/en/admin/messages/{TALK}")
    async with faces.owner.get(url, headers={"HX-Request": "true"}) as answer:
        assert answer.status == 200
    assert faces.stall.trade.done == []


async def test_answer_goes_out_with_photos_larger_than_a_form(faces) -> None:
    form = FormData()
    form.add_field("text", "Voilà")
    form.add_field("order", "a1" * 16)
    form.add_field("photos", io.BytesIO(b"x" * 3_000_000), filename="a.jpg", content_type="image/jpeg")
    status, where = await post_form(faces, f"/fr/admin/messages/{TALK}", form)
    assert (status, where) == (303, f"/fr/admin/messages/{TALK}?done=sent#newest")
    assert faces.stall.trade.done[-1] == (TALK, "say", {"text": "Voilà", "photos": 1, "order": "a1" * 16})


async def test_refused_line_comes_back_to_be_corrected(faces) -> None:
    status, page, _ = await faces.post(f"/fr/market/messages/{ASKED}", text="one too many")
    assert status == 409
    assert "one too many" in page
    assert "Plusieurs de vos messages attendent déjà" in page


async def test_each_side_of_the_counter_has_its_own_conversations(faces) -> None:
    assert (await faces.get(f"/en/market/messages/{TALK}"))[0] == 404
    assert (await faces.get(f"/en/admin/messages/{ASKED}"))[0] == 404
    assert (await faces.get("/en/admin/messages/nothing"))[0] == 404


async def test_question_is_asked_from_the_page_of_a_shop(faces) -> None:
    _, page = await faces.get(f"/en/market/s/0x{faces.stall.keys.store_address.hex()}")
    assert "Ask this shop" in page
    form = FormData()
    form.add_field("text", "Do you open on Sundays?")
    form.add_field("name", "Noé")
    form.add_field("photos", io.BytesIO(b""), filename="")
    status, where = await post_form(faces, f"/en/market/p/{OTHER_STORE}/tasse/ask", form)
    assert (status, where) == (303, f"/en/market/messages/{ASKED}?done=question-sent")
    told = {"text": "Do you open on Sundays?", "handle": "tasse", "photos": 0, "name": "Noé"}
    assert faces.stall.trade.done[-1] == (OTHER_STORE, "ask", told)


async def test_photo_is_a_picture_and_nothing_else(faces) -> None:
    for name, kind in (("0b-0", "image/webp"), ("page", "application/octet-stream")):
        url = faces.url("local", f"/en/admin/messages/{TALK}/file/{name}")
        async with faces.owner.get(url) as answer:
            assert answer.content_type == kind
            assert "sandbox" in answer.headers["Content-Security-Policy"]


async def test_note_block_and_saved_answers(faces) -> None:
    await faces.post(f"/en/admin/messages/{TALK}/note", note="late payer")
    assert faces.stall.trade.done[-1] == (TALK, "note", {"note": "late payer"})
    other = faces.stall.trade.talks.show(TALK).summary.other
    await faces.post(f"/en/admin/messages/{TALK}/block", block="1")
    assert faces.stall.access.blocks_store(bytes.fromhex(other[2:]))
    await faces.post(f"/en/admin/messages/{TALK}/block")
    assert not faces.stall.access.blocks_store(bytes.fromhex(other[2:]))
    await faces.post("/en/admin/saved-answers", answer=["Yes", "", "No"])
    assert faces.stall.trade.talks.saved == ("Yes", "No")
    assert faces.stall.catalog.profile().tell_answer_time is False


async def test_notices_lead_to_their_page_and_count_down(faces) -> None:
    _, page = await faces.get("/en/admin/notices")
    assert "To pack: Chemise en lin bleue for Noé Lambert" in page
    assert "4 new notices" in page
    [link] = re.findall(r'href="(/en/admin/notices/\d+)">New message', page)
    url = faces.url("local", link)
    async with faces.owner.get(url, allow_redirects=False) as answer:
        assert answer.headers["Location"] == f"/en/admin/messages/{TALK}"
    assert faces.stall.notify.unread() == 3
    await faces.get("/en/admin/orders/" + "a1" * 16)  # whoever looks at the order has seen two more
    assert faces.stall.notify.unread() == 1
    await faces.post("/en/admin/notices/read")
    assert faces.stall.notify.unread() == 0


MAIL = {"to": "a@example.org", "host": "127.0.0.1", "port": "1", "security": "none", "enabled": "1"}


async def test_mail_settings_are_kept_and_a_test_says_what_is_wrong(faces) -> None:
    kinds = {"kind_refund": "off", "kind_question": "digest"}
    status, _, where = await faces.post("/en/admin/settings/notify", password=" s3cret ", **MAIL, **kinds)
    assert (status, where) == (303, "/en/admin/settings?done=saved#notify")
    mail = faces.stall.notify.mail()
    assert (mail.settings.sender, mail.settings.used_port, mail.has_password) == ("a@example.org", 1, True)
    assert dict(mail.settings.kinds) == {"refund": "off", "question": "digest"}
    _, page = await faces.get("/en/admin/settings")
    assert "s3cret" not in page
    await faces.post("/en/admin/settings/notify", **MAIL)
    assert faces.stall.notify.mail().has_password
    status, page, _ = await faces.post("/fr/admin/settings/notify/test", **MAIL)
    assert status == 503
    assert "Le serveur de messagerie est injoignable." in page
    status, page, _ = await faces.post("/fr/admin/settings/notify", **MAIL | {"to": "nobody"})
    assert status == 409
    assert "Ces réglages de courriel ne peuvent pas marcher." in page
    await faces.post("/en/admin/settings/notify", forget_password="1", **MAIL)
    assert not faces.stall.notify.mail().has_password


@pytest.fixture
def api(faces):
    headers = {"Authorization": f"Bearer {faces.keeper.secret}"}

    async def call(method: str, path: str, body: object = None) -> tuple[int, dict]:
        url = faces.url("local", f"/api/v1{path}")
        async with faces.stranger.request(method, url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    return call


async def test_api_of_conversations(faces, api) -> None:
    _, found = await api("GET", "/conversations?role=merchant")
    assert [each["talk_key"] for each in found["conversations"]] == [TALK, "5b" * 16]
    assert found["unread"] == {"merchant": 1, "buyer": 1}
    _, talk = await api("POST", f"/conversations/{TALK}", {"text": "Hello", "photos": ["AAAA"], "order_key": ""})
    assert talk["other"]["paid_count"] == 2
    assert faces.stall.trade.done[-1] == (TALK, "say", {"text": "Hello", "photos": 1, "order": ""})
    for body in ({"photos": "AAAA"}, {"photos": ["?"]}, {"text": 5}, {"photos": ["AAAA"] * 9}):
        status, problem = await api("POST", f"/conversations/{TALK}", body)
        assert (status, problem["code"]) in ((409, "form-invalid"), (409, "photos-too-many"))
    _, file = await api("GET", f"/conversations/{TALK}/files/0b-0")
    assert file["mime"] == "image/webp"
    status, _ = await api("POST", "/conversations", {"store": to_checksum(b"z" * 20), "text": "?"})
    assert status == 200


async def test_api_of_notices_never_tells_the_password(api) -> None:
    _, found = await api("GET", "/notices?unread=true")
    assert (len(found["notices"]), found["unread"]) == (4, 4)
    _, left = await api("POST", "/notices/read", {"notice_id": found["notices"][0]["notice_id"]})
    assert left == {"unread": 3}
    wanted = {"enabled": True, "to": "a@b.org", "sender": "a@b.org", "host": "localhost", "security": "none", "port": 1}
    _, kept = await api("POST", "/notify", {**wanted, "password": "s3cret", "kinds": {"refund": "off"}})
    assert kept["mail"]["has_password"]
    assert "s3cret" not in str(kept)
    assert (kept["kinds"]["refund"], kept["kinds"]["question"]) == ("off", "mail")
    for body, code in (
        ({"nothing": 1}, "form-invalid"),
        ({"enabled": "yes"}, "form-invalid"),
        ({"to": "x"}, "mail-settings"),
    ):
        assert (await api("POST", "/notify", body))[1]["code"] == code
    assert (await api("POST", "/notify/test"))[1]["code"] == "smtp-unreachable"
