"""Decide who may knock: Host, origin, body type, size and session are checked before any handler runs.

The local faces hold the keys to a shop, and any web page the owner visits can send requests to 127.0.0.1.
So a request must name a host we serve (DNS rebinding), come from our own pages (CSRF), and carry a session
that began with a one-time link printed by the owner's own terminal.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from halle_protocol.errors import ConfigError, HalleError, Refused

from .i18n import N_

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SETUP_TTL_S = 30 * 60
SESSION_TTL_S = 30 * 24 * 3600
SESSION_COOKIE = "halle_session"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SAFE_METHODS = ("GET", "HEAD")
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
PHOTO_MAX_BYTES = 20 * 1024 * 1024
UPLOAD_MAX_BYTES = PHOTO_MAX_BYTES + 64 * 1024
FORM_MAX_BYTES = 512 * 1024

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    # `no-referrer` would turn the Origin of our own forms into "null" and so refuse them.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class Doorkeeper:
    """Give out one-time set-up links and the sessions they open; only hashes are kept, in a private file."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.time) -> None:
        self._sessions_file = home / "run" / "sessions.json"
        self._clock = clock
        self._links: dict[str, float] = {}
        self._sessions: dict[str, float] = self._load()
        self.secret = secrets.token_urlsafe(32)

    def _load(self) -> dict[str, float]:
        try:
            stored = json.loads(self._sessions_file.read_text())
            return {str(key): float(until) for key, until in stored.items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def new_link_token(self) -> str:
        """A token that opens one session within 30 minutes."""
        token = secrets.token_urlsafe(32)
        self._links[_digest(token)] = self._clock() + SETUP_TTL_S
        return token

    def redeem(self, token: str) -> str:
        """The session opened by a set-up token. Raises: Refused `setup-link-used`."""
        until = self._links.pop(_digest(token), 0.0)
        if until < self._clock():
            raise Refused(
                N_("This set-up link was used already or is older than 30 minutes."),
                code="setup-link-used",
                hint=N_("Ask for a new one in the terminal: halle open"),
            )
        session = secrets.token_urlsafe(32)
        self._sessions[_digest(session)] = self._clock() + SESSION_TTL_S
        self._save()
        return session

    def admits(self, session: str) -> bool:
        return bool(session) and self._sessions.get(_digest(session), 0.0) > self._clock()

    def close_session(self, session: str) -> None:
        if self._sessions.pop(_digest(session), None) is not None:
            self._save()

    def _save(self) -> None:
        now = self._clock()
        self._sessions = {key: until for key, until in self._sessions.items() if until > now}
        _write_private(self._sessions_file, json.dumps(self._sessions))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner can read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


def check_host(request: web.Request, public_hosts: frozenset[str]) -> None:
    """Refuse a host name we do not serve: it is how DNS rebinding looks."""
    host = request.headers.get("Host", "")
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "")
    transport = request.transport
    bound = transport.get_extra_info("sockname")[1] if transport is not None else 0
    if name in LOOPBACK and port == str(bound):
        return
    if host in public_hosts:
        return
    raise Refused(
        N_("This address does not belong to this node."),
        code="host-not-allowed",
        hint=N_("Open the address that halle up printed, or add your public name to the settings."),
    )


def check_origin(request: web.Request) -> None:
    """Refuse an unsafe request that another site's page sent, or that no page sent."""
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    same = origin is not None and urlsplit(origin).netloc == request.headers.get("Host", "")
    if (site in (None, "same-origin") and same) or (site == "same-origin" and origin is None):
        return
    raise Refused(
        N_("This form was not sent from this node's own page."),
        code="origin-not-allowed",
        hint=N_("Open the page here and send the form again."),
    )


def check_body(request: web.Request, upload: bool) -> None:
    """Refuse a body that is not one of our forms, has no declared length, or is too long."""
    if request.method in SAFE_METHODS:
        return
    if request.content_type not in FORM_TYPES:
        raise Refused(
            N_("Only forms of this node are understood here."),
            code="body-type-not-allowed",
            hint=N_("Send the form from its page."),
        )
    limit = UPLOAD_MAX_BYTES if upload else FORM_MAX_BYTES
    if request.content_length is None or request.content_length > limit:
        raise Refused(
            N_("This is too large."), code="body-too-large", hint=N_("A photo or file may have 20 MB at most.")
        )


def session_of(request: web.Request) -> str:
    return request.cookies.get(SESSION_COOKIE, "")


def bears_secret(request: web.Request, doorkeeper: Doorkeeper) -> bool:
    """True for the owner's own programs, which read this start's secret from the run file."""
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    return kind == "Bearer" and secrets.compare_digest(value.encode(), doorkeeper.secret.encode())


def session_needed() -> HalleError:
    return Refused(
        N_("This page is for the person at this computer."),
        code="session-needed",
        hint=N_("Open the link that halle up printed, or ask for a new one in the terminal: halle open"),
    )


async def dress(_request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every response (a handler may set a stricter one first)."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if "Server" in response.headers:
        del response.headers["Server"]


def port_in_use(host: str, port: int) -> ConfigError:
    return ConfigError(
        f"Port {port} on {host} cannot be opened.",
        code="port-in-use",
        hint="Stop the other program, or set local_port or shop_port to another number (0 takes a free one).",
    )
