"""The conversations of a stall, scripted: they show what they were given and note what they were asked to do."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image

from halle_node.trade import talk_views as v
from halle_node.trade import views as t
from halle_protocol.errors import Refused
from halle_protocol.money import Money

NOW = int(time.time())
ASKER, SHOP = "0x" + "3C" * 20, "0x" + "7a" * 20
QUESTION = (
    "Bonjour ! La chemise rétrécit-elle au lavage ?\nLa photo montre mon ancienne.",
    "Pouvez-vous ajouter un mot pour ma sœur ?",
)


@dataclass
class Talks:
    """What the pages use of `trade.talks`."""

    details: dict[str, v.TalkDetail] = field(default_factory=dict)
    saved: tuple[str, ...] = ("Oui, nous livrons en Belgique, en trois jours.", "Lavage à 30°, à l'envers.")
    done: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    told_s: int = 3 * 3600

    def fill(self, sold: tuple[t.OrderSummary, ...], bought: tuple[t.OrderSummary, ...], done: list[Any]) -> None:
        """Put some conversations on the shelf."""
        self.done = done
        photo = (t.FileView("0b" * 16 + "-0", "photo 1", "image/webp", 900),)
        Line = t.ChatLine
        lines = (
            Line(NOW - 90_000, "buyer", QUESTION[0], True, "0b" * 16, photo, handle="chemise-bleue"),
            Line(NOW - 88_000, "merchant", "Non, le lin est lavé avant la coupe.", True, "0c" * 16),
            Line(NOW - 7_200, "buyer", QUESTION[1], True, "0d" * 16, order_key=sold[0].order_key, unread=True),
            Line(NOW - 900, "buyer", "x" * 90, True, "0e" * 16, order_key=sold[0].order_key, unread=True),
        )
        other = v.OtherSide(sold, 3, 2, (Money(19_180, "EUR"),), NOW - 40 * 86_400)
        self._add("5a" * 16, "merchant", ASKER, "Noé Lambert", lines, other, "Aime le bleu ; livrer après 18 h.")
        stranger = (Line(NOW - 200_000, "buyer", "<script>alert(1)</script> Do you ship to Norway?", True, "0f" * 16),)
        nobody = v.OtherSide((), 0, 0, (), NOW - 200_000)
        self._add("5b" * 16, "merchant", "0x" + "4D" * 20, "", stranger, nobody, "")
        asked = (
            replace(lines[0], at=NOW - 5_000),
            Line(NOW - 4_000, "merchant", "Non, le lin est lavé avant la coupe.", True, "1c" * 16, photo, unread=True),
            Line(NOW - 100, "buyer", "Merci !", False, "1d" * 16),
            Line(NOW - 50, "buyer", "Encore une question", False, "1e" * 16, refused="wait-for-answer"),
        )
        bought_side = v.OtherSide(bought, 1, 1, (Money(9_590, "EUR"),), NOW - 90_000)
        self._add("6b" * 16, "buyer", SHOP, "Atelier Camille", asked, bought_side, "")

    def _add(self, key: str, role: v.TalkRole, other: str, name: str, lines: Any, side: v.OtherSide, note: str) -> None:
        last, unread = lines[-1], sum(line.unread for line in lines)
        summary = v.TalkSummary(
            key, role, other, name, lines[0].handle, unread, last.at, last.text[:140], last.by, len(last.photos)
        )
        self.details[key] = v.TalkDetail(summary, lines, side, note, last.order_key, False)

    def listing(self, role: str = "", limit: int = 500) -> list[v.TalkSummary]:
        return [each.summary for each in self.details.values() if role in ("", each.summary.role)]

    def show(self, key: str) -> v.TalkDetail:
        if key not in self.details:
            raise Refused("There is no such conversation.", code="talk-unknown", hint="Look at the list.")
        return self.details[key]

    def unread(self) -> v.UnreadTalks:
        counts = {role: sum(each.unread > 0 for each in self.listing(role)) for role in ("merchant", "buyer")}
        return v.UnreadTalks(**counts)

    async def mark_read(self, key: str) -> None:
        self.done.append((key, "read", {}))

    async def file(self, key: str, file_id: str) -> tuple[str, str, bytes]:
        self.show(key)
        if file_id == "page":
            return "evil.html", "text/html", b"<script>alert(1)</script>"
        out = io.BytesIO()
        Image.new("RGB", (320, 320), (74, 108, 160)).save(out, "WEBP")
        return "photo 1", "image/webp", out.getvalue()

    async def ask(self, store: str, text: str, *, handle: str = "", photos: Any = (), name: str = "") -> str:
        self.done.append((store, "ask", {"text": text, "handle": handle, "photos": len(photos), "name": name}))
        return "6b" * 16

    async def say(self, key: str, text: str, *, photos: Any = (), order_key: str = "") -> None:
        self.show(key)
        if not text and not photos:
            raise Refused("There is nothing in it.", code="form-invalid", hint="Write something.")
        if text == "one too many":
            raise Refused("Wait.", code="wait-for-answer", hint="Later.")
        self.done.append((key, "say", {"text": text, "photos": len(photos), "order": order_key}))

    async def note(self, key: str, note: str) -> None:
        self.done.append((key, "note", {"note": note}))

    def saved_answers(self) -> tuple[str, ...]:
        return self.saved

    async def set_saved_answers(self, answers: list[str]) -> None:
        self.saved = tuple(each for each in answers if each)

    def answer_time(self) -> int:
        return self.told_s

    def seen_answer_time(self, store: bytes) -> int:
        return 0
