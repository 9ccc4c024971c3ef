"""/halle/mailbox/1: leave a sealed envelope for somebody who is away, look what became of it, collect one's own.

Each payload begins with a letter; an answer is a DAG-CBOR map like that of /halle/message/1. Who collects proves it by
a signature over the mailbox's nonce and both peer ids, and signs for each envelope after it was processed.
Spec: docs/spec/15-mailbox.md
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import trio

from halle_node.p2p.direct import MAX_ANSWER_BYTES, raise_refusal, refusal
from halle_node.p2p.framing import Frames
from halle_node.p2p.types import Kept
from halle_node.p2p.wire import Wire
from halle_protocol import dagcbor
from halle_protocol.errors import HalleError, RemoteProtocolError, Unavailable
from halle_protocol.mailbox import DIGEST_BYTES, MAX_BYTES, NONCE_BYTES, check_collector

PROTOCOL = "/halle/mailbox/1"
MAX_LETTERS = 32
DEPOSIT, LOOK, COLLECT = b"D", b"Q", b"C"
NONCE, PROOF, LETTER, SIGNED, END = b"N", b"P", b"M", b"A", b"E"
_MAP = range(0xA0, 0xC0)
"""First bytes of a DAG-CBOR map, which no letter is."""

Take = Callable[[bytes, str], Awaitable[bytes | None]]
Prove = Callable[[bytes, str, str], bytes]


class Desk(Protocol):
    """The mailbox of this node, as `halle_node.messages.mailbox.Mailbox`; asked on the asyncio loop."""

    def serves(self, store: bytes) -> bool: ...
    def now(self) -> int: ...
    def min_sequence(self, store: bytes) -> int: ...
    async def leave(self, envelope: bytes, peer: str) -> Kept: ...
    async def look(self, digest: bytes) -> Kept: ...
    async def letters(self, store: bytes) -> tuple[list[bytes], bool]: ...
    async def settle(self, store: bytes, signed: Sequence[bytes]) -> int: ...


class Mailboxes:
    """`ask(fn, *args)` runs a method of the desk on the loop that it lives on; no desk, no role."""

    def __init__(
        self,
        wire: Wire,
        desk: Desk | None,
        ask: Callable[..., Awaitable[Any]],
        *,
        draw: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._draw = draw
        self._wire = wire
        self._config = wire.config
        self._ask = ask
        if desk is not None:
            self._desk = desk
            wire.serve(PROTOCOL, self._serve)

    # for senders

    async def leave(self, peer: str, addrs: Sequence[str], envelope: bytes) -> Kept:
        """Return when the mailbox has stored the envelope. Raises: Unavailable, Refused with its code."""
        return await self._request(peer, addrs, DEPOSIT + envelope)

    async def look(self, peer: str, addrs: Sequence[str], digest: bytes) -> Kept:
        """Return what became of an envelope. Raises: Unavailable, Refused letter-unknown."""
        return await self._request(peer, addrs, LOOK + digest)

    async def _request(self, peer: str, addrs: Sequence[str], payload: bytes) -> Kept:
        with trio.move_on_after(self._config.request_timeout_s):
            async with self._wire.opened(peer, addrs, PROTOCOL) as frames:
                await frames.write(payload)
                self._wire.traffic.frames_out += 1
                frames.allow(self._config.request_timeout_s)
                answer = await frames.read(MAX_ANSWER_BYTES)
            return _kept(answer, peer)
        raise _slow(peer)

    # for recipients

    async def collect(
        self, peer: str, addrs: Sequence[str], store: bytes, prove: Prove, take: Take
    ) -> tuple[int, bool]:
        """Fetch up to 32 envelopes, process each by `take`, sign for those that gave a signature.

        Returns how many were signed for, and whether the mailbox has more. Raises: Unavailable, Refused.
        """
        with trio.move_on_after(2 * self._config.request_timeout_s):
            try:
                return await self._collect(peer, addrs, store, prove, take)
            except RemoteProtocolError:
                self._wire.punish(peer)
                raise
        raise _slow(peer)

    async def _collect(
        self, peer: str, addrs: Sequence[str], store: bytes, prove: Prove, take: Take
    ) -> tuple[int, bool]:
        async with self._wire.opened(peer, addrs, PROTOCOL) as frames:
            await frames.write(COLLECT + store)
            nonce = _expect(NONCE, await frames.read(MAX_ANSWER_BYTES), peer)
            if len(nonce) != NONCE_BYTES:
                raise _shape("A challenge has 32 bytes.")
            await frames.write(PROOF + prove(nonce, peer, self._wire.own_id))
            return await self._receive(frames, peer, take)

    async def _receive(self, frames: Frames, peer: str, take: Take) -> tuple[int, bool]:
        signed: list[bytes] = []
        count, limit = 0, self._config.max_envelope_bytes + 1
        while (payload := await frames.read(limit))[:1] == LETTER:
            count += 1
            if count > MAX_LETTERS:
                raise _shape(f"More than {MAX_LETTERS} envelopes at a time.")
            self._wire.traffic.frames_in += 1
            word = await take(payload[1:], f"mailbox {peer}")
            signed += [] if word is None else [word]
        more = _expect(END, payload, peer)
        if more not in (b"\x00", b"\x01"):
            raise _shape("Envelopes end with 0 or 1.")
        await frames.write(*(SIGNED + word for word in signed), END)
        frames.allow(self._config.request_timeout_s)
        _expect(END, await frames.read(MAX_ANSWER_BYTES), peer)
        return len(signed), more == b"\x01"

    # the role

    async def _serve(self, frames: Frames, peer: str) -> None:
        payload = await frames.read(self._config.max_envelope_bytes + 1)
        self._wire.traffic.frames_in += 1
        letter, rest = payload[:1], payload[1:]
        if not self._wire.ledger.take(peer, "messages"):
            self._wire.traffic.drops["rate-limited"] += 1
            await _refuse(frames, "rate-limited", "Too many requests in a minute.", retry=True)
        elif letter == DEPOSIT:
            await self._answer(frames, self._desk.leave, rest, peer)
        elif letter == LOOK and len(rest) == DIGEST_BYTES:
            await self._answer(frames, self._desk.look, rest)
        elif letter == COLLECT and len(rest) == 20:
            await self._hand_out(frames, peer, rest)
        else:
            raise _shape("No request begins like that.")

    async def _answer(self, frames: Frames, ask: Callable[..., Awaitable[Kept]], *args: object) -> None:
        try:
            kept = await self._ask(ask, *args)
        except HalleError as error:
            self._wire.traffic.drops[error.code] += 1
            await _refuse(frames, error.code, error.message, retry=isinstance(error, Unavailable))
            return
        state = {"acknowledgement": kept.acknowledgement} if kept.acknowledgement else {}
        await frames.write(dagcbor.encode({"ok": True, "until": kept.until} | state))

    async def _hand_out(self, frames: Frames, peer: str, store: bytes) -> None:
        if not await self._ask(self._desk.serves, store):
            await _refuse(frames, "mailbox-not-served", "No mail is kept here for that store.", retry=False)
            return
        nonce = self._draw(NONCE_BYTES)
        await frames.write(NONCE + nonce)
        proof = _expect(PROOF, await frames.read(MAX_BYTES + 1), peer)
        check_collector(
            proof,
            store=store,
            mailbox=self._wire.own_id,
            collector=peer,
            nonce=nonce,
            now=self._desk.now(),
            min_sequence=self._desk.min_sequence(store),
        )
        letters, more = await self._ask(self._desk.letters, store)
        await frames.write(*(LETTER + each for each in letters), END + (b"\x01" if more else b"\x00"))
        self._wire.traffic.frames_out += len(letters)
        frames.allow(self._config.request_timeout_s)  # they are processed before they are signed for
        signed: list[bytes] = []
        while (payload := await frames.read(MAX_BYTES + 1))[:1] == SIGNED:
            signed.append(payload[1:])
            if len(signed) > len(letters):
                raise _shape("More signatures than envelopes.")
        if payload != END:
            raise _shape("Signatures end with E.")
        await self._ask(self._desk.settle, store, signed)
        await frames.write(END)


async def _refuse(frames: Frames, code: str, words: str, *, retry: bool) -> None:
    await frames.write(dagcbor.encode(refusal(code, words, retry=retry)))


def _expect(letter: bytes, payload: bytes, peer: str) -> bytes:
    """Return what follows the letter. Raises: the refusal that stands in its place."""
    if payload[:1] == letter:
        return payload[1:]
    if payload and payload[0] in _MAP:
        raise_refusal(_decoded(payload, peer), peer)
    raise _shape(f"Expected {letter.decode()}.")


def _kept(answer: bytes, peer: str) -> Kept:
    value = _decoded(answer, peer)
    raise_refusal(value, peer)
    assert isinstance(value, dict)
    until, word = value.get("until"), value.get("acknowledgement", b"")
    if type(until) is not int or not 0 <= until < 2**40 or type(word) is not bytes:
        raise Unavailable(f"Peer {peer} answered nonsense.", code="peer-gone", hint="Use another mailbox.")
    return Kept(until, word)


def _decoded(answer: bytes, peer: str) -> object:
    try:
        return dagcbor.decode(answer)
    except RemoteProtocolError as error:
        raise Unavailable(f"Peer {peer} answered nonsense: {error}", code="peer-gone") from error


def _shape(words: str) -> RemoteProtocolError:
    return RemoteProtocolError(words, code="mailbox-shape", hint="The peer must follow docs/spec/15-mailbox.md.")


def _slow(peer: str) -> Unavailable:
    return Unavailable(f"Mailbox {peer} was too slow.", code="peer-stalled", hint="Another mailbox is tried later.")
