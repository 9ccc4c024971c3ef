"""/halle/message/1: one sealed envelope in, one answer out, and only after the envelope was processed.

Answer: a DAG-CBOR frame `{"ok": true}`, or `{"code", "message", "ok": false, "retry"}`. Acknowledging before
processing is how paid orders get lost; so a sender without an answer must assume nothing and send again, and
a receiver must recognise what it has already processed.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from halle_node.p2p.framing import Frames
from halle_node.p2p.wire import Wire
from halle_protocol import dagcbor
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable

log = logging.getLogger("halle_node.p2p")

PROTOCOL = "/halle/message/1"
MAX_ANSWER_BYTES = 4096
MAX_WORDS = 500

Process = Callable[[bytes, str], Awaitable[None]]


class DirectMessages:
    """`process(envelope, from_peer)` runs the node's handler to its end and raises what it raises."""

    def __init__(self, wire: Wire, process: Process) -> None:
        self._wire = wire
        self._config = wire.config
        self._process = process
        wire.serve(PROTOCOL, self._serve)

    async def deliver(self, peer: str, addrs: Sequence[str], envelope: bytes) -> None:
        """Return when the far side has processed the envelope.

        Raises: Unavailable (send again later), Refused with the far side's code.
        """
        if len(envelope) > self._config.max_envelope_bytes:
            raise Refused(
                f"An envelope has {len(envelope)} bytes; the limit is {self._config.max_envelope_bytes}.",
                code="envelope-too-large",
                hint="Send large files as blocks and their CID in the message.",
            )
        with trio.move_on_after(self._config.request_timeout_s):
            try:
                answer = await self._exchange(peer, addrs, envelope)
            except RemoteProtocolError as exc:
                raise Unavailable(f"Peer {peer} answered nonsense: {exc}", code="peer-gone") from exc
            raise_refusal(answer, peer)
            return
        raise Unavailable(
            f"Peer {peer} did not confirm the message in time.",
            code="not-confirmed",
            hint="Send it again later.",
        )

    async def _exchange(self, peer: str, addrs: Sequence[str], envelope: bytes) -> object:
        async with self._wire.opened(peer, addrs, PROTOCOL) as frames:
            await frames.write(envelope)
            self._wire.traffic.frames_out += 1
            # The far side may need longer to process than to read: the whole exchange has its own deadline.
            frames.allow(self._config.request_timeout_s)
            return dagcbor.decode(await frames.read(MAX_ANSWER_BYTES))

    async def _serve(self, frames: Frames, peer: str) -> None:
        envelope = await frames.read(self._config.max_envelope_bytes)
        self._wire.traffic.frames_in += 1
        await frames.write(dagcbor.encode(await self._answer(envelope, peer)))

    async def _answer(self, envelope: bytes, peer: str) -> dict[str, object]:
        if not self._wire.ledger.take(peer, "messages"):
            self._wire.traffic.drops["rate-limited"] += 1
            return refusal("rate-limited", "Too many messages in a minute.", retry=True)
        try:
            with trio.fail_after(self._config.request_timeout_s):
                await self._process(envelope, peer)
        except HalleError as exc:
            self._wire.traffic.drops[exc.code] += 1
            return refusal(exc.code, exc.message, retry=isinstance(exc, Unavailable))
        except trio.TooSlowError:
            return refusal("processing-slow", "The message could not be processed in time.", retry=True)
        except Exception as exc:  # a task's top: our own fault, so the sender keeps the message and retries
            log.warning("a message from %s could not be processed", peer, exc_info=exc)
            return refusal("processing-failed", "The message could not be processed.", retry=True)
        return {"ok": True}


def refusal(code: str, words: str, *, retry: bool) -> dict[str, object]:
    return {"ok": False, "code": code, "message": words[:MAX_WORDS], "retry": retry}


def raise_refusal(answer: object, peer: str) -> None:
    """Return only for a confirmation."""
    if isinstance(answer, dict) and answer.get("ok") is True:
        return
    if not isinstance(answer, dict) or not isinstance(answer.get("code"), str):
        raise Unavailable(f"Peer {peer} answered nonsense.", code="peer-gone", hint="Send it again later.")
    words = f"Peer {peer} refused the message: {str(answer.get('message', ''))[:MAX_WORDS]}"
    code = answer["code"][:64]
    if answer.get("retry") is True:
        raise Unavailable(words, code=code, hint="Send it again later.")
    raise Refused(words, code=code, hint="Correct the message; sending the same again cannot help.")
