"""docs/spec/15-mailbox.md: its vectors hold on both sides, and its numbers are those of the code."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio

import samples_people as s
from halle_node.config import load
from halle_node.messages import mailbox as role
from halle_node.messages.mailbox import Quotas
from halle_node.messages.route import SECOND_COPY_S
from halle_node.messages.shop_post import CONTENT_TYPE, PATH
from halle_node.p2p import mailbox as protocol
from halle_node.p2p.types import Kept
from halle_protocol import dagcbor
from halle_protocol.errors import Refused, RemoteProtocolError, Unavailable
from halle_protocol.mailbox import MAX_BYTES, Acknowledgement, acknowledge, check_collector, prove_collector

from .test_spec_network import ROOT, VECTORS, Desk, code_of, wire_of

PAGE = (ROOT / "docs" / "spec" / "15-mailbox.md").read_text(encoding="utf-8")
MAILBOX = "12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust"
Case = dict[str, Any]


def cases(name: str, kind: str) -> list[Any]:
    body = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in body["cases"] if case["kind"] == kind]


class Box:
    """A mailbox that answers what the vector says."""

    def __init__(self, answer: dict[str, Any] | None = None, held: Sequence[str] = (), more: bool = False) -> None:
        self._answer = answer or {}
        self._held = [bytes.fromhex(each) for each in held]
        self._more = more
        self.settled: list[bytes] = []

    def serves(self, store: bytes) -> bool:
        return True

    def now(self) -> int:
        return s.NOW

    def min_sequence(self, store: bytes) -> int:
        return 0

    async def leave(self, envelope: bytes, peer: str) -> Kept:
        return self._say()

    async def look(self, digest: bytes) -> Kept:
        return self._say()

    def _say(self) -> Kept:
        if self._answer["ok"]:
            return Kept(self._answer["until"], self._answer.get("acknowledgement", b""))
        kind = Unavailable if self._answer["retry"] else Refused
        raise kind(self._answer["message"], code=self._answer["code"])

    async def letters(self, store: bytes) -> tuple[list[bytes], bool]:
        return self._held, self._more

    async def settle(self, store: bytes, signed: Sequence[bytes]) -> int:
        self.settled += signed
        return len(signed)


async def here(fn: Callable[..., Any], *args: Any) -> Any:
    found = fn(*args)
    return await found if isinstance(found, Awaitable) else found


def mailboxes(desk: Desk, box: Box | None, nonce: bytes = bytes(32)) -> protocol.Mailboxes:
    desk.own_id = MAILBOX if box is not None else s.PEER_ID
    return protocol.Mailboxes(desk, box, here, draw=lambda size: nonce)  # type: ignore[arg-type]


def prove(nonce: bytes, mailbox: str, collector: str) -> bytes:
    return prove_collector(
        s.OPERATOR_KEY, store=s.MERCHANT, mailbox=mailbox, collector=collector, nonce=nonce, grant=s.grant()
    )


def test_vectors_are_what_the_generator_writes() -> None:
    spec = importlib.util.spec_from_file_location("generate_mailbox", VECTORS / "generate_mailbox.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    for name in generator.FILES:
        assert (VECTORS / f"{name}.json").read_text(encoding="utf-8") == generator.text_of(name), name


def judge_acknowledgement(case: Case) -> Acknowledgement:
    word = Acknowledgement.decode(bytes.fromhex(case["data"]))
    store, envelope = bytes.fromhex(case["store"]), bytes.fromhex(case["envelope"])
    word.verify(store=store, envelope=envelope, now=case["now"], min_sequence=case["min_sequence"])
    return word


@pytest.mark.parametrize("case", cases("mailbox_valid", "acknowledgement"))
def test_acknowledgement_holds_as_in_the_vector(case: Case) -> None:
    word = judge_acknowledgement(case)
    assert (word.outcome, word.processed) == (case["outcome"], case["outcome"] == "ok")
    assert word.encode().hex() == case["data"]


@pytest.mark.parametrize("case", cases("mailbox_invalid", "acknowledgement"))
def test_acknowledgement_is_refused_as_in_the_vector(case: Case) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        judge_acknowledgement(case)
    assert caught.value.code == case["error"]


def judge_proof(case: Case) -> None:
    check_collector(
        bytes.fromhex(case["data"]),
        store=bytes.fromhex(case["store"]),
        mailbox=case["mailbox"],
        collector=case["collector"],
        nonce=bytes.fromhex(case["nonce"]),
        now=case["now"],
        min_sequence=case["min_sequence"],
    )


@pytest.mark.parametrize("case", cases("mailbox_valid", "proof"))
def test_proof_holds_as_in_the_vector(case: Case) -> None:
    judge_proof(case)


@pytest.mark.parametrize("case", cases("mailbox_invalid", "proof"))
def test_proof_is_refused_as_in_the_vector(case: Case) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        judge_proof(case)
    assert caught.value.code == case["error"]


@pytest.mark.parametrize("case", cases("mailbox_valid", "request"))
def test_request_is_asked_and_answered_as_in_the_vector(case: Case) -> None:
    payload = bytes.fromhex(case["asker"][0])
    desk = Desk(wire_of(case["mailbox"]))
    asker = mailboxes(desk, None)

    async def ask() -> Kept:
        call = asker.leave if payload[:1] == b"D" else asker.look
        return await call(MAILBOX, [], payload[1:])

    outcome = case["outcome"]
    if "code" in outcome:
        with pytest.raises(Unavailable if outcome["retry"] else Refused) as caught:
            trio.run(ask)
        assert caught.value.code == outcome["code"]
    else:
        word = bytes.fromhex(outcome.get("acknowledgement", ""))
        assert trio.run(ask) == Kept(outcome["until"], word)
    assert bytes(desk.stream.written) == wire_of(case["asker"])
    answer = dagcbor.decode(bytes.fromhex(case["mailbox"][0]))
    if set(answer) <= {"ok", "until", "acknowledgement", "code", "message", "retry"}:
        desk = Desk(wire_of(case["asker"]))
        mailboxes(desk, Box(answer))
        trio.run(desk.answer)
        assert bytes(desk.stream.written) == wire_of(case["mailbox"])


@pytest.mark.parametrize("case", cases("mailbox_valid", "collect"))
def test_mail_is_collected_and_handed_out_as_in_the_vector(case: Case) -> None:
    words = {sha(each[1:]): each for each in map(bytes.fromhex, case["asker"]) if each[:1] == b"A"}

    async def take(envelope: bytes, mailbox: str) -> bytes | None:
        for each in words.values():
            word = Acknowledgement.decode(each[1:])
            if word.envelope == sha(envelope):
                given = {"store": s.MERCHANT, "envelope": sha(envelope), "outcome": word.outcome}
                return acknowledge(s.OPERATOR_KEY, **given, grant=s.grant()).encode()
        return None

    desk = Desk(wire_of(case["mailbox"]))
    collector = mailboxes(desk, None)
    result = trio.run(lambda: collector.collect(MAILBOX, [], bytes.fromhex(case["store"]), prove, take))
    more = "4501" in case["mailbox"]
    assert result == (len(words), more)
    assert bytes(desk.stream.written) == wire_of(case["asker"])

    desk, box = Desk(wire_of(case["asker"])), Box(held=case["held"], more=more)
    mailboxes(desk, box, bytes.fromhex(case["nonce"]))
    trio.run(desk.answer)
    assert bytes(desk.stream.written) == wire_of(case["mailbox"])
    assert box.settled == [each[1:] for each in words.values()]


def sha(data: bytes) -> bytes:
    return sha256(data).digest()


@pytest.mark.parametrize("case", cases("mailbox_invalid", "broken"))
def test_broken_rules_are_refused_as_in_the_vector(case: Case) -> None:
    desk = Desk(wire_of(case["payloads"]))

    async def take(envelope: bytes, mailbox: str) -> bytes | None:
        return None

    if case["sent_by"] == "asker":
        mailboxes(desk, Box(), bytes(range(32)))
        assert code_of(desk.answer) == case["error"]
        return
    asker = mailboxes(desk, None)
    calls = {
        "request": lambda: asker.look(MAILBOX, [], bytes(32)),
        "collect": lambda: asker.collect(MAILBOX, [], s.MERCHANT, prove, take),
    }
    assert code_of(calls[case["asks"]]) == case["error"]
    assert desk.punished[MAILBOX] == (case["error"] == "mailbox-shape")
    assert desk.stream.fate == ("reset" if case["asks"] == "collect" else "closed")


def test_store_that_is_not_served_is_told_so() -> None:
    class Elsewhere(Box):
        def serves(self, store: bytes) -> bool:
            return False

    desk = Desk(wire_of([(b"C" + s.MERCHANT).hex()]))
    mailboxes(desk, Elsewhere())
    trio.run(desk.answer)
    answer = dagcbor.decode(bytes(desk.stream.written)[1:])
    assert (answer["ok"], answer["code"]) == (False, "mailbox-not-served")


# --- the page


def test_page_names_the_numbers_of_the_code(tmp_path: Path) -> None:
    quotas, config = Quotas(), load(tmp_path, environ={})
    table = dict(re.findall(r"^\| ([a-z ]+) \| ([0-9,]+) (?:MB|KB|days) \|$", PAGE, re.MULTILINE))
    assert {name: int(value.replace(",", "")) for name, value in table.items()} == {
        "disk in all": quotas.total_bytes >> 20,
        "for one store": quotas.store_bytes >> 10,
        "from one peer": quotas.sender_bytes >> 10,
        "time": quotas.days,
    }
    kept = (config.mailbox_total_mb, config.mailbox_store_kb, config.mailbox_sender_kb, config.mailbox_days)
    assert kept == (quotas.total_bytes >> 20, quotas.store_bytes >> 10, quotas.sender_bytes >> 10, quotas.days)
    told = {
        "counts with 1,024 bytes": role.ROW_BYTES,
        "at most 32": protocol.MAX_LETTERS,
        "at most 2,048 bytes": MAX_BYTES,
    }
    for words, number in told.items():
        assert words in PAGE, words
        assert str(number) in words.replace(",", ""), words
    assert role.BATCH == protocol.MAX_LETTERS
    assert SECOND_COPY_S == 3600
    assert f"`{protocol.PROTOCOL}`" in PAGE
    assert PATH in PAGE
    assert CONTENT_TYPE in PAGE


def test_errors_of_the_protocol_are_on_the_page() -> None:
    for name in ("protocol/halle_protocol/mailbox.py", "node/halle_node/p2p/mailbox.py"):
        source = (ROOT / name).read_text(encoding="utf-8")
        for code in re.findall(r'code="([a-z-]+)"', source):
            assert f"`{code}`" in PAGE or code.startswith("peer-"), code
