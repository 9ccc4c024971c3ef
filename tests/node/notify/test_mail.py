"""Notices reach the owner by a real mail server, whatever the server does meanwhile."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from halle_node.db import Database, open_database
from halle_node.notify import KINDS, MailSettings, NotifyService, notices
from halle_node.notify.notices import Notice
from halle_node.notify.service import Letter, compose
from halle_protocol.errors import HalleError, Refused
from halle_storefront.mail import MailWriter
from halle_storefront.notice_words import WORDINGS, told

# The server of a test asks for a password without TLS too, to see what our side would send.
pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning:aiosmtpd")]

PASSWORD = "pässword"


class Desk:
    """A notify room over a real database, with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "keys").mkdir()
        self.now = int(time.time())
        self.db: Database = open_database(folder / "halle.db")
        self.troubles = {"chain-trouble": False}
        self.room = NotifyService(
            self.db,
            folder / "keys",
            lambda: self.now,
            writer=MailWriter(),
            conditions=self._conditions,
            rounds_until_told=2,
        )

    async def _conditions(self) -> dict[str, bool]:
        return dict(self.troubles)

    async def use(self, server: Any, security: str = "none", password: str | None = None, **more: Any) -> None:
        await self.room.set_mail(
            MailSettings(
                **{
                    "enabled": True,
                    "to": "camille@example.org",
                    "sender": "node@example.org",
                    "host": "localhost",
                    "port": server.port if server else 1,
                    "security": security,
                    "ca_file": server.ca_file if server else "",
                    "digest_hour": 0,
                }
                | more
            ),
            password,
        )

    async def tell(self, kind: str, subject: str = "ab" * 16, once: str = "", **params: object) -> None:
        await self.db.write(lambda conn: notices.add(conn, kind, subject, self.now, once=once, **params))

    def shown(self) -> list[Notice]:
        return self.room.listing()


@pytest.fixture
def desk(tmp_path: Path):
    made = Desk(tmp_path)
    yield made
    made.db.close()


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
async def test_notice_is_mailed_after_login(desk, mail_server, security) -> None:
    server = await mail_server(security, login=True)
    await desk.use(server, security, PASSWORD, user="camille", language="fr")
    await desk.tell("order-to-pack", who="Noé Lambert", what="Chemise en lin")
    assert await desk.room.mail_due() == 1
    [letter] = server.post.letters
    assert server.post.secure == [security != "none"]
    assert server.post.envelopes == [("node@example.org", ["camille@example.org"])]
    assert letter["Subject"] == "Halle: Une commande est à emballer"
    assert letter["Auto-Submitted"] == "auto-generated"
    plain = letter.get_body(("plain",)).get_content()
    html = letter.get_body(("html",)).get_content()
    assert "Une commande est à emballer. (abababab)" in plain
    assert "Une commande est à emballer. (abababab)" in html
    # A postcard: nobody and nothing is named, and the whole key would open the order's status page.
    for secret in ("Noé", "Chemise", "ab" * 16):
        assert secret not in letter.as_string()
    assert await desk.room.mail_due() == 0
    assert [each.mail for each in desk.shown()] == ["sent"]


async def test_password_is_in_a_secret_file_only(desk, mail_server) -> None:
    server = await mail_server("tls", login=True)
    await desk.use(server, "tls", PASSWORD, user="camille")
    assert (desk.folder / "keys" / "smtp-password").stat().st_mode & 0o777 == 0o600
    assert PASSWORD.encode() not in b"".join(path.read_bytes() for path in desk.folder.glob("halle.db*"))
    assert desk.room.mail().has_password
    await desk.room.set_mail(desk.room.mail().settings, "")
    assert not desk.room.mail().has_password
    assert not list((desk.folder / "keys").iterdir())


async def test_server_that_is_down_gets_it_later(desk, mail_server) -> None:
    server = await mail_server()
    port = server.port
    server.stop()
    await desk.use(None, port=port)
    await desk.tell("order-to-pack")
    assert await desk.room.mail_due() == 0
    [trouble, waiting] = desk.shown()
    assert (trouble.kind, trouble.mail) == ("mail-trouble", "")
    assert (waiting.mail, waiting.attempts, waiting.error_code) == ("now", 1, "smtp-unreachable")
    assert desk.room.mail().waiting == 1
    assert await desk.room.mail_due() == 0  # not yet: it waits longer each time
    waits = []
    for attempt in range(2, 8):
        before = desk.now
        while desk.shown()[1].attempts < attempt:
            desk.now += 30
            await desk.room.mail_due()
        waits.append(desk.now - before)
    assert waits[-1] > 4 * waits[0]
    again = await mail_server(port=port)
    desk.now += 7 * 3_600
    assert await desk.room.mail_due() == 1
    assert len(again.post.letters) == 1
    assert [each.mail for each in desk.shown()] == ["", "sent"]


async def test_waiting_mail_survives_a_restart(desk, mail_server) -> None:
    server = await mail_server()
    await desk.use(server)
    await desk.tell("refund")
    desk.db.close()
    desk.db = open_database(desk.folder / "halle.db")
    desk.room = NotifyService(desk.db, desk.folder / "keys", lambda: desk.now, writer=MailWriter())
    assert await desk.room.mail_due() == 1


async def test_mail_is_given_up_after_a_week(desk) -> None:
    await desk.use(None)
    await desk.tell("refund")
    desk.now += 8 * 86_400
    await desk.room.mail_due()
    assert [each.mail for each in desk.shown() if each.kind == "refund"] == ["dropped"]


FAILURES = [
    ("smtp-auth", {"login": True}, {"user": "camille", "password": "wrong"}, {}),
    ("smtp-auth", {"login": False}, {"user": "camille", "password": "x"}, {}),
    ("smtp-tls", {}, {"security": "starttls"}, {}),
    ("smtp-tls", {"security": "tls"}, {"security": "tls", "ca_file": ""}, {}),
    ("smtp-refused", {}, {}, {"refuse_rcpt": "550 no \u202esuch\r person"}),
    ("smtp-busy", {}, {}, {"refuse_data": "451 later"}),
    ("smtp-refused", {}, {}, {"refuse_data": "554 spam"}),
]


@pytest.mark.parametrize(("code", "start", "wanted", "behave"), FAILURES)
async def test_test_mail_says_what_is_wrong(desk, mail_server, code, start, wanted, behave) -> None:
    server = await mail_server(**start)
    vars(server.post).update(behave)
    await desk.use(server, **wanted)
    with pytest.raises(HalleError) as refused:
        await desk.room.send_test()
    assert refused.value.code == code
    assert refused.value.message
    assert "\u202e" not in refused.value.message
    assert server.post.letters == []


async def test_test_mail_arrives(desk, mail_server) -> None:
    with pytest.raises(Refused) as refused:
        await desk.room.send_test()
    assert refused.value.code == "mail-off"
    server = await mail_server()
    await desk.use(server)
    await desk.room.send_test()
    assert server.post.letters[0]["Subject"] == "Halle: test"


async def test_digest_gathers_a_day(desk, mail_server) -> None:
    server = await mail_server()
    await desk.use(server)
    await desk.room.mail_due()  # today's digest, empty
    for number in range(3):
        await desk.tell("low-stock", f"mug-{number}")
    await desk.tell("low-stock", "mug-2")
    assert await desk.room.mail_due() == 0
    desk.now += 86_400
    assert await desk.room.mail_due() == 4
    [letter] = server.post.letters
    assert "A product is running low." in letter.get_body(("plain",)).get_content()
    assert "mug" not in letter.as_string()


async def test_several_news_are_one_mail(desk, mail_server) -> None:
    server = await mail_server()
    await desk.use(server)
    await desk.tell("order-to-pack", "aa" * 16)
    await desk.tell("question", "bb" * 16)
    assert await desk.room.mail_due() == 2
    [letter] = server.post.letters
    assert letter["Subject"] == "Halle: 2 news from your node"


async def test_the_owner_chooses_how_each_kind_is_told(desk, mail_server) -> None:
    server = await mail_server()
    await desk.use(server, kinds={"refund": "app", "question": "off"})
    for kind in ("refund", "question", "order-shipped"):
        await desk.tell(kind)
    assert await desk.room.mail_due() == 1
    assert {each.kind: each.mail for each in desk.shown()} == {"refund": "", "order-shipped": "sent"}
    await desk.tell("order-shipped", "cd" * 16)
    await desk.room.set_mail(replace(desk.room.mail().settings, enabled=False))
    await desk.tell("order-shipped", "ef" * 16)
    assert await desk.room.mail_due() == 0


async def test_what_is_told_once_is_not_told_twice(desk) -> None:
    for _ in range(3):
        await desk.tell("order-to-pack", once="order-to-pack/1")
    assert len(desk.shown()) == 1


async def test_trouble_is_told_when_it_lasts_and_again_when_it_returns(desk) -> None:
    for holds, told_so_far in ((True, 0), (True, 1), (True, 1), (False, 1), (True, 1), (True, 2)):
        desk.troubles["chain-trouble"] = holds
        await desk.room.look_at_health()
        assert len(desk.shown()) == told_so_far


async def test_reading_counts_down(desk) -> None:
    await desk.tell("refund", "aa")
    await desk.tell("refund", "bb")
    assert desk.room.unread() == 2
    await desk.room.seen("aa")
    assert desk.room.unread() == 1
    opened = await desk.room.open(desk.shown()[0].notice_id)
    assert (opened.subject, desk.room.unread()) == ("bb", 0)
    with pytest.raises(Refused):
        await desk.room.open(999)


BAD = [
    {"to": "a@b\r\nBcc: x@y"},
    {"to": ""},
    {"sender": "Camille <c@d.e>"},
    {"to": "a@b\u202e.org"},
    {"host": "smtp.example.org\nX"},
    {"host": ""},
    {"port": 70_000},
    {"security": "maybe"},
    {"digest_hour": 24},
    {"user": "a\nb"},
    {"kinds": {"nothing": "mail"}},
    {"kinds": {"refund": "fax"}},
    {"ca_file": "/nowhere.pem"},
]


@pytest.mark.parametrize("wrong", BAD)
async def test_settings_that_cannot_work_are_refused(desk, wrong) -> None:
    with pytest.raises(Refused) as refused:
        await desk.use(None, **wrong)
    assert refused.value.code == "mail-settings"
    assert desk.room.mail().settings == MailSettings()


async def test_no_password_crosses_the_network_in_clear(desk) -> None:
    with pytest.raises(Refused) as refused:
        await desk.use(None, "none", user="camille", host="smtp.example.org")
    assert refused.value.code == "smtp-insecure"


@pytest.mark.parametrize("text", ["a\r\nBcc: evil@example.org", "\u202etxt", "x" * 500, "é" * 90, "a\x00b"])
def test_no_text_becomes_a_header(text) -> None:
    wanted = MailSettings(to="a@example.org", sender="b@example.org")
    sent = compose(wanted, Letter(text, text, text), "mark", 1_700_000_000).as_bytes()
    head = sent.split(b"\r\n\r\n")[0]
    assert b"\nBcc" not in head
    assert {line.split(b":")[0] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")} == {
        b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"MIME-Version", b"Content-Type",
    }  # fmt: skip


def test_every_kind_has_words() -> None:
    assert set(WORDINGS) == set(KINDS)
    for kind in KINDS:
        notice = Notice(1, kind, "ab" * 16, {"who": "<b>%s", "what": "100 %"}, 0, False, "")
        for lang in ("en", "fr"):
            assert told(notice, lambda text: text, lang)
            letter = MailWriter().write([notice], lang)
            assert letter.subject
            assert "<b>" not in letter.html + letter.text
