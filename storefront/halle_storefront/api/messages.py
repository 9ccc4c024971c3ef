"""The shop's door for sealed messages: the same semantics as /halle/message/1, over HTTP, for programs only.

There is no session and no cookie here, and no CORS: a page of another origin cannot send the content type without a
preflight, which nobody answers.
Spec: docs/spec/15-mailbox.md §5
"""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from halle_node.messages.shop_post import CONTENT_TYPE, PATH, PROBLEM_TYPE
from halle_node.p2p.limits import PeerLedger
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.mailbox import Acknowledgement
from halle_protocol.sealing import MAX_ENVELOPE_BYTES

from ..gateway.budget import visitor_of
from ..i18n import N_
from ..node_access import node_of

PER_MINUTE = 30.0
READ_TIMEOUT_S = 15.0
BUDGETS: web.AppKey[PeerLedger] = web.AppKey("message_budgets", PeerLedger)


def set_up(app: web.Application) -> None:
    """Give the app its door and a budget for every caller."""
    # A bucket's burst is ten seconds' worth: a whole minute's may come at once here.
    app[BUDGETS] = PeerLedger({"messages": PER_MINUTE}, time.monotonic, burst=1.0)
    app.add_routes([web.post(PATH, receive)])


def check_envelope(request: web.Request) -> None:
    """Refuse what is no envelope by its headers, before anything is read."""
    if request.content_type != CONTENT_TYPE:
        raise Refused(
            N_("Only sealed envelopes are taken here."),
            code="body-type-not-allowed",
            hint=f"Content-Type: {CONTENT_TYPE}",
        )
    if request.content_length is None:
        raise Refused(N_("The length of the body is missing."), code="length-missing", hint="Send Content-Length.")
    if request.content_length > MAX_ENVELOPE_BYTES:
        raise Refused(
            N_("This is too large."), code="body-too-large", hint=f"An envelope may have {MAX_ENVELOPE_BYTES} bytes."
        )


async def receive(request: web.Request) -> web.Response:
    """Process one envelope and answer with our signed word about it."""
    # Programs of this machine share one budget: a proxy that names no visitor is one of them.
    if not request.app[BUDGETS].take(visitor_of(request) or "here", "messages"):
        raise Unavailable(
            N_("Too many messages in a minute."), code="rate-limited", hint=N_("Send it again in a minute.")
        )
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            envelope = await request.read()
    except TimeoutError:
        raise Unavailable(N_("The message came too slowly."), code="peer-stalled") from None
    signed = await node_of(request).messages.take(envelope, "http")
    word = Acknowledgement.decode(signed)
    if word.processed:
        return web.Response(body=signed, content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})
    return _refused(word, signed)


def _refused(word: Acknowledgement, signed: bytes) -> web.Response:
    body = {
        "type": f"urn:halle:error:{word.outcome}",
        "title": "The message was refused for good.",
        "status": 422,
        "code": word.outcome,
        "retry": False,
        "acknowledgement": signed.hex(),
    }
    return web.json_response(body, status=422, content_type=PROBLEM_TYPE, headers={"Cache-Control": "no-store"})
