"""The notify room: what faces ask of it, and the task that mails."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from halle_node.db import Database
from halle_node.notify import notices, settings, smtp
from halle_node.notify.notices import Notice
from halle_node.notify.settings import MailSettings
from halle_protocol.documents.text import clean_text
from halle_protocol.errors import HalleError, Refused, Unavailable

log = logging.getLogger(__name__)

TICK_S = 5.0
HEALTH_S = 60.0
# A short outage is nobody's business.
ROUNDS_UNTIL_TOLD = 10
SUBJECT_CHARS = 120
Conditions = Callable[[], Awaitable[Mapping[str, bool]]]


@dataclass(frozen=True)
class Letter:
    """A mail's content in the reader's language; `html` says the same as `text`."""

    subject: str
    text: str
    html: str


class Writer(Protocol):
    """Who finds the words: the storefront, which has every language."""

    def write(self, news: Sequence[Notice], language: str) -> Letter:
        """Return the letter about `news`, oldest first."""

    def write_test(self, language: str) -> Letter:
        """Return the letter of the test button."""


@dataclass(frozen=True)
class MailState:
    """What faces show of the mail settings; the password itself is never shown."""

    settings: MailSettings
    has_password: bool
    waiting: int
    error_code: str


class NotifyService:
    """Notices of one node and their mail."""

    def __init__(
        self,
        db: Database,
        keys_folder: Path,
        clock: Callable[[], int],
        *,
        writer: Writer | None = None,
        conditions: Conditions | None = None,
        rounds_until_told: int = ROUNDS_UNTIL_TOLD,
    ) -> None:
        """Join the parts. `conditions()` says which troubles of the node hold now, by kind."""
        self._db = db
        self._keys = keys_folder
        self._clock = clock
        self._writer = writer
        self._conditions = conditions
        self._rounds = rounds_until_told
        self._bad_rounds: dict[str, int] = {}
        self._sending = asyncio.Lock()

    # --- what the pages, the API and the commands ask

    def listing(self, *, unread_only: bool = False, limit: int = 200) -> list[Notice]:
        """Return notices, newest first."""
        return self._db.read(lambda conn: notices.listing(conn, unread_only=unread_only, limit=limit))

    def unread(self) -> int:
        """Count what the owner has not seen."""
        return self._db.read(notices.unread)

    async def open(self, notice_id: int) -> Notice:
        """Return a notice and note that the owner has seen it.

        Raises: Refused notice-unknown.
        """
        found = self._db.read(lambda conn: notices.one(conn, notice_id))
        if found is None:
            raise Refused("There is no such notice any more.", code="notice-unknown", hint="Look at the list.")
        await self._db.write(lambda conn: notices.mark_read(conn, self._clock(), notice_id))
        return found

    async def read_all(self) -> int:
        """Note that the owner has seen everything; return how much was new."""
        return await self._db.write(lambda conn: notices.mark_read(conn, self._clock()))

    async def seen(self, subject: str) -> None:
        """Note that the owner looks at an order, a conversation or a product."""
        if self._db.read(lambda conn: notices.has_unseen(conn, subject)):
            await self._db.write(lambda conn: notices.mark_seen(conn, subject, self._clock()))

    def mail(self) -> MailState:
        """Return how mail is set up and what waits."""
        wanted = self._db.read(settings.read)
        count, code = self._db.read(notices.waiting)
        return MailState(wanted, bool(settings.read_mail_password(self._keys)), count, code)

    async def set_mail(self, wanted: MailSettings, password: str | None = None) -> None:
        """Keep the mail settings; `password` None leaves it as it is, empty removes it. What waits is tried at once.

        Raises: Refused mail-settings, smtp-insecure; Unavailable key-file-unwritable.
        """
        settings.check(wanted)
        if password is not None:
            await asyncio.to_thread(settings.write_mail_password, self._keys, password)

        def change(conn: Connection) -> None:
            settings.write(conn, wanted, self._clock())
            if wanted.enabled:
                notices.hurry(conn)
            else:
                notices.stop_mail(conn)

        await self._db.write(change)

    async def send_test(self) -> None:
        """Send one letter now.

        Raises: Refused mail-off, smtp-…; Unavailable smtp-….
        """
        wanted = self._db.read(settings.read)
        if self._writer is None or not wanted.host or not wanted.to:
            raise Refused("Mail is not set up yet.", code="mail-off", hint="Fill in server and addresses first.")
        await self._hand_over(wanted, self._writer.write_test(wanted.language), f"test-{self._clock()}")

    # --- by itself

    async def run(self) -> None:
        """Mail, and watch the node's health, until cancelled."""
        await self._db.write(notices.forget_old)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(TICK_S, self.mail_due), name="mail")
            tasks.create_task(self._every(HEALTH_S, self.look_at_health), name="health")

    async def mail_due(self) -> int:
        """Mail what is due in one letter; return how many notices the server took."""
        async with self._sending:
            wanted = self._db.read(settings.read)
            if self._writer is None or not wanted.enabled:
                return 0
            await self._gather_digest(wanted)
            news = self._db.read(lambda conn: notices.due(conn, self._clock()))
            if not news:
                return 0
            ids = "-".join(str(each.notice_id) for each in news)
            mark = hashlib.sha256(f"{ids}/{news[0].at}".encode()).hexdigest()[:32]
            try:
                await self._hand_over(wanted, self._writer.write(news, wanted.language), mark)
            except (Unavailable, Refused) as error:
                log.info("mail: %s (%s)", error.message, error.code)
                await self._db.write(partial(self._failed, news=news, code=error.code))
                return 0
            await self._db.write(partial(self._sent, news=news))
            return len(news)

    async def look_at_health(self) -> None:
        """Tell of a trouble that has lasted."""
        if self._conditions is None:
            return
        found = await self._conditions()
        for kind, holds in found.items():
            self._bad_rounds[kind] = self._bad_rounds.get(kind, 0) + 1 if holds else 0
            states: dict[str, dict[str, object]] = {kind: {}} if self._bad_rounds[kind] >= self._rounds else {}
            if states or not holds:
                await self._db.write(partial(notices.hold, kind=kind, states=states, now=self._clock()))

    async def _every(self, wait_s: float, task: Callable[[], Awaitable[object]]) -> None:
        while True:
            try:
                await task()
            except HalleError as error:
                log.info("notify: %s (%s)", error.message, error.code)
            await asyncio.sleep(wait_s)

    async def _gather_digest(self, wanted: MailSettings) -> None:
        """Once a day, from the owner's hour on, let what waited for it go out together."""
        local = datetime.fromtimestamp(self._clock()).astimezone()
        day = local.date().isoformat()
        if local.hour < wanted.digest_hour or self._db.read(settings.digested_on) == day:
            return

        def change(conn: Connection) -> None:
            settings.note_digest(conn, day, self._clock())
            notices.release_digest(conn)

        await self._db.write(change)

    def _failed(self, conn: Connection, news: Sequence[Notice], code: str) -> None:
        now = self._clock()
        notices.postpone(conn, news, code, now)
        notices.hold(conn, "mail-trouble", {"mail-trouble": {"code": code}}, now)

    def _sent(self, conn: Connection, news: Sequence[Notice]) -> None:
        notices.mark_sent(conn, news)
        notices.hold(conn, "mail-trouble", {}, self._clock())

    async def _hand_over(self, wanted: MailSettings, letter: Letter, mark: str) -> None:
        password = await asyncio.to_thread(settings.read_mail_password, self._keys)
        await smtp.send(wanted, password, compose(wanted, letter, mark, self._clock()))


def compose(wanted: MailSettings, letter: Letter, mark: str, now: int) -> EmailMessage:
    """Return the mail as it travels. The same mark gives the same Message-ID, so that a repeated mail can be told.

    Raises: Refused mail-settings for an address that cannot be written into a header.
    """
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address("Halle", addr_spec=wanted.sender)
        message["To"] = Address(addr_spec=wanted.to)
    except (ValueError, IndexError) as error:
        raise Refused("An address cannot be used.", code="mail-settings", hint="Correct to and sender.") from error
    message["Subject"] = clean_text(letter.subject, multiline=False)[:SUBJECT_CHARS]
    message["Date"] = format_datetime(datetime.fromtimestamp(now).astimezone())
    message["Message-ID"] = f"<{mark}@{wanted.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message
