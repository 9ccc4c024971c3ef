"""A question before an order, its answer and photos both ways, between two node processes; the owner is mailed."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from PIL import Image

from halle_cli.demo.actors import NodeProcess, free_port, until
from halle_cli.demo.trading import has_quote
from system.hall import Hall

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


class Post:
    """A mail server's box."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        return "250 taken"


@pytest.fixture
def mail() -> Iterator[tuple[Post, int]]:
    post, port = Post(), free_port()
    server = Controller(post, hostname="127.0.0.1", port=port)
    server.start()
    yield post, port
    server.stop()


def photo(folder: Path, name: str, colour: str) -> Path:
    """A JPEG that says with which camera it was taken."""
    path, notes = folder / name, Image.Exif()
    notes[0x010F] = "SecretCamera"
    Image.new("RGB", (800, 600), colour).save(path, "JPEG", exif=notes)
    return path


def halle(node: NodeProcess, *words: str) -> Any:
    """Run a `halle` command against a running node; return its JSON."""
    command = [sys.executable, "-m", "halle_cli", "--home", str(node.home), *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shown(node: NodeProcess, key: str, lines: int) -> dict[str, Any]:
    """Return the conversation once it has that many lines."""

    def look() -> dict[str, Any] | None:
        known = [talk["talk_key"] for talk in node.api.get("/conversations")["conversations"]]
        talk: dict[str, Any] = node.api.get(f"/conversations/{key}") if key in known else {"lines": ()}
        return talk if len(talk["lines"]) >= lines else None

    return until(f"{node.name} has {lines} lines", look)


def colour_of(node: NodeProcess, key: str, line: dict[str, Any]) -> tuple[int, ...]:
    [file] = line["photos"]
    data = base64.b64decode(node.api.get(f"/conversations/{key}/files/{file['file_id']}")["content"])
    assert b"SecretCamera" not in data
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "WEBP"
    return tuple(round(each / 64) for each in picture.convert("RGB").getpixel((100, 100)))


def test_question_answer_and_order_are_one_conversation(hall: Hall, mail: tuple[Post, int], tmp_path: Path) -> None:
    post, port = mail
    shop, buyer = hall.merchant, hall.buyer
    owner = {"to": "camille@example.org", "sender": "node@example.org", "host": "127.0.0.1", "port": port}
    halle(shop, "notify", "set", "--on", "security=none", *(f"{name}={value}" for name, value in owner.items()))
    subprocess.run(
        [sys.executable, "-m", "halle_cli", "--home", str(shop.home), "notify", "test"], check=True, capture_output=True
    )
    assert until("the test mail is there", lambda: post.letters)[0]["To"] == "camille@example.org"

    about, red = f"halle://{hall.store}/chemise-bleue", str(photo(tmp_path, "red.jpg", "red"))
    asked = halle(buyer, "messages", "ask", about, "Does it shrink?", "--name", "Noé", "--photo", red)
    key = asked["summary"]["talk_key"]
    talk = shown(shop, key, 1)
    assert (talk["summary"]["name"], talk["summary"]["handle"], talk["summary"]["unread"]) == (
        "Noé",
        "chemise-bleue",
        1,
    )
    assert colour_of(shop, key, talk["lines"][0]) == (4, 0, 0)
    until("the owner is mailed", lambda: len(post.letters) == 2)
    letter = post.letters[1].as_string()
    assert "A customer has written to you." in letter
    assert "Noé" not in letter
    assert "shrink" not in letter

    blue = str(photo(tmp_path, "blue.jpg", "blue"))
    halle(shop, "messages", "answer", key[:10], "No, it is washed.", "--photo", blue)
    answer = shown(buyer, key, 2)["lines"][1]
    assert (answer["by"], answer["text"], answer["unread"]) == ("merchant", "No, it is washed.", True)
    # The photo has come along by itself: it is seen although its sender is gone.
    until("the photo is here", lambda: buyer.api.get("/notices")["unread"] == 1)
    file = answer["photos"][0]["file_id"]
    until("the photo is fetched", lambda: buyer.api.get(f"/conversations/{key}/files/{file}"))
    shop.kill()
    assert colour_of(buyer, key, answer) == (0, 0, 4)

    # A line written meanwhile waits and arrives; the order made later stands in the same conversation.
    halle(buyer, "messages", "answer", key, "And in green?")
    assert not shown(buyer, key, 3)["lines"][2]["delivered"]
    shop.start()
    assert shown(shop, key, 3)["lines"][2]["text"] == "And in green?"
    deal = hall.ask()
    deal.reaches(buyer, "a signed quote comes back", has_quote)
    buyer.api.post(f"/orders/{deal.key}/chat", {"text": "Blue paper, please"})
    talk = shown(shop, key, 4)
    assert talk["lines"][3]["order_key"] == talk["about_order"] == deal.key
    assert [order["order_key"] for order in talk["other"]["orders"]] == [deal.key]
    assert halle(shop, "messages", "read", key)["summary"]["unread"] == 2
    assert halle(shop, "messages", "list", "--unread") == []

    # Whom the owner blocks is heard no more, except about the order they have.
    shop.api.post("/access/block", {"subject": talk["summary"]["other"]})
    buyer.api.post(f"/conversations/{key}", {"text": "Hello?"})
    until(
        "the buyer sees that it was refused",
        lambda: buyer.api.get(f"/conversations/{key}")["lines"][-1]["refused"] == "sender-blocked",
    )
    buyer.api.post(f"/orders/{deal.key}/chat", {"text": "About my order"})
    assert shown(shop, key, 5)["lines"][4]["text"] == "About my order"
