"""Answer every failure with a page (or an RFC 9457 body under /api) that says what happened and what to do next."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from aiohttp import web

from halle_node.messages.shop_post import PATH, PROBLEM_TYPE
from halle_protocol.errors import ConfigError, HalleError, ProtocolError, Refused, Unavailable

from .i18n import N_, language_of, translations
from .pages import page
from .security import Handler
from .words import ERROR_WORDS

log = logging.getLogger(__name__)

RETRY_AFTER_S = 60
STATUS_BY_CODE = {
    "host-not-allowed": 421,
    "origin-not-allowed": 403,
    "session-needed": 401,
    "setup-link-used": 410,
    "body-type-not-allowed": 415,
    "body-too-large": 413,
    "length-missing": 411,
    "rate-limited": 429,
    "not-found": 404,
    "method-not-allowed": 405,
    "internal-error": 500,
}
STATUS_BY_KIND = ((Unavailable, 503), (Refused, 409), (ProtocolError, 422), (ConfigError, 500))


@dataclass(frozen=True)
class Problem:
    """A failure as a reader sees it, already in their language."""

    status: int
    code: str
    title: str
    hint: str


def not_found() -> Refused:
    return Refused(
        N_("There is nothing at this address."),
        code="not-found",
        hint=N_("Check the address, or go to the start page."),
    )


def describe(error: HalleError, lang: str) -> Problem:
    """The words of an error in `lang`; an error without a translation keeps its own words."""
    say = translations(lang).gettext
    title, hint = ERROR_WORDS.get(error.code, (error.message, error.hint))
    if lang == "en" and error.message:
        title, hint = error.message, error.hint or hint
    status = STATUS_BY_CODE.get(error.code) or (404 if error.code.endswith(("-unknown", "-not-found")) else 0)
    if not status:
        status = next((number for kind, number in STATUS_BY_KIND if isinstance(error, kind)), 400)
    return Problem(status, error.code, say(title) if title else error.code, say(hint) if hint else "")


def answer(request: web.Request, error: HalleError) -> web.Response:
    problem = describe(error, language_of(request))
    if request.path == PATH:
        return _to_program(problem, retry=isinstance(error, Unavailable))
    if request.path.startswith(("/api/", "/-/")):
        return web.Response(text=json.dumps(_body(problem)), status=problem.status, content_type=PROBLEM_TYPE)
    return page(request, "error.html", status=problem.status, problem=problem)


def _body(problem: Problem) -> dict[str, object]:
    """The RFC 9457 body of a failure."""
    return {
        "type": f"urn:halle:error:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.hint,
        "code": problem.code,
    }


def _to_program(problem: Problem, *, retry: bool) -> web.Response:
    """A failure of the door for messages: it also says whether sending the same again can help."""
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": str(RETRY_AFTER_S)} if retry else {})
    text = json.dumps({**_body(problem), "retry": retry})
    return web.Response(text=text, status=problem.status, content_type=PROBLEM_TYPE, headers=headers)


def from_http(error: web.HTTPException) -> HalleError:
    """The house error for one that the web server raised."""
    if error.status == 404:
        return not_found()
    if error.status == 405:
        return Refused(
            N_("This page cannot be used that way."),
            code="method-not-allowed",
            hint=N_("Go back and use the page's own buttons."),
        )
    if error.status == 413:
        return Refused(
            N_("This is too large."), code="body-too-large", hint=N_("A photo or file may have 20 MB at most.")
        )
    return Refused(error.reason or "", code="bad-request", hint="")


def unexpected() -> HalleError:
    return Unavailable(
        N_("Something went wrong on our side."),
        code="internal-error",
        hint=N_("Nothing was lost. Try again; if it stays, the node's log says more."),
    )


@web.middleware
async def catch_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except HalleError as error:
        return answer(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return answer(request, from_http(error))
    except Exception as error:  # the top of a request: the reader gets a page, the log gets the trace
        if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            raise  # the reader went away, or was cut off: there is nobody to answer
        log.exception("%s %s failed", request.method, request.path)
        return answer(request, unexpected())
