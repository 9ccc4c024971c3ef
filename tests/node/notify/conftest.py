"""A real mail server in this process, and certificates it proves its name with."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


@dataclass
class Post:
    """What a server took, and how it is told to behave."""

    letters: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    refuse_data: str = ""
    refuse_rcpt: str = ""
    secure: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuse_rcpt:
            return self.refuse_rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse_data:
            return self.refuse_data
        self.letters.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self.secure.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 taken"


def check_login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"camille", b"p\xc3\xa4ssword")
    return AuthResult(success=good, handled=False)


@dataclass
class MailServer:
    """A running server."""

    post: Post
    server: asyncio.Server
    ca_file: str
    talks: list[SMTP]

    @property
    def port(self) -> int:
        return int(self.server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        self.server.close()
        for talk in self.talks:
            if talk.transport is not None:
                talk.transport.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


@pytest.fixture
async def mail_server(certificate: tuple[Path, Path]) -> AsyncIterator[Callable[..., Awaitable[MailServer]]]:
    """Return a function that starts a server: `security` as in the settings, `login` asks for a password."""
    running: list[MailServer] = []

    async def start(security: str = "none", *, login: bool = False, port: int = 0) -> MailServer:
        cert, key = certificate
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        post = Post()
        options: dict[str, Any] = {"hostname": "localhost"}
        if login:
            # Without encryption too: the tests look at what our side would send.
            options |= {"authenticator": check_login, "auth_required": True, "auth_require_tls": False}
        if security == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        talks: list[SMTP] = []

        def answer() -> SMTP:
            talks.append(SMTP(post, **options))
            return talks[-1]

        server = await asyncio.get_running_loop().create_server(
            answer, "127.0.0.1", port, ssl=context if security == "tls" else None
        )
        running.append(MailServer(post, server, str(cert), talks))
        return running[-1]

    yield start
    for each in running:
        each.stop()
    await asyncio.sleep(0.05)  # closed transports let their sockets go in the loop's next rounds
