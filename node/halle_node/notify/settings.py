"""Whether and how the owner is mailed.

Rule: the mail account's password is in a secret file beside the keys, never in the database.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.notify import notice_setting as table
from halle_node.keys.files import destroy_secret, read_secret, write_secret
from halle_node.notify.kinds import HOWS, KINDS, How
from halle_protocol.documents.text import check_line
from halle_protocol.errors import Refused

Security = Literal["tls", "starttls", "none"]
SECURITIES: tuple[Security, ...] = ("tls", "starttls", "none")
USUAL_PORTS = {"tls": 465, "starttls": 587, "none": 25}
MAIL, DIGESTED = "mail", "digested"
PASSWORD_FILE = "smtp-password"  # noqa: S105 - a file's name
ADDRESS = re.compile(r"[^\s@<>\"(),:;\\\[\]]{1,64}@[^\s@<>\"(),:;\\]{1,189}\Z")
HOST = re.compile(r"[A-Za-z0-9.:_-]{1,253}\Z")


@dataclass(frozen=True)
class MailSettings:
    """How mail leaves. `security`: tls from the first byte, starttls, or none, without a password or to this machine.

    `port` 0 is the usual one. `digest_hour` is on this machine's clock. `kinds` overrides how a kind is told.
    """

    enabled: bool = False
    to: str = ""
    sender: str = ""
    host: str = ""
    port: int = 0
    security: Security = "starttls"
    user: str = ""
    ca_file: str = ""
    language: str = "en"
    digest_hour: int = 8
    kinds: Mapping[str, How] = field(default_factory=dict)

    @property
    def used_port(self) -> int:
        """The port to dial."""
        return self.port or USUAL_PORTS[self.security]

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return self.host == "localhost" or _is_loopback(self.host)

    def how(self, kind: str) -> How:
        """Return how a kind is told; an unknown one is shown in the pages."""
        known = KINDS.get(kind)
        return self.kinds.get(kind) or (known.how if known else "app")


def read(conn: Connection) -> MailSettings:
    """Return what the owner wants."""
    text = conn.execute(select(table.c.form).where(table.c.name == MAIL)).scalar()
    return MailSettings(**json.loads(text)) if text else MailSettings()


def write(conn: Connection, wanted: MailSettings, now: int) -> None:
    """Keep what the owner wants.

    Raises: Refused mail-settings.
    """
    check(wanted)
    _put(conn, MAIL, json.dumps(asdict(wanted)), now)


def check(wanted: MailSettings) -> None:
    """Refuse what cannot work, naming the field. Raises: Refused mail-settings, smtp-insecure."""
    addresses = {"to": wanted.to, "sender": wanted.sender}
    for name, value in addresses.items():
        if (value or wanted.enabled) and not (ADDRESS.match(value) and _is_line(value)):
            raise _wrong(name, "an e-mail address such as camille@example.org")
    if (wanted.host or wanted.enabled) and not HOST.match(wanted.host):
        raise _wrong("host", "a server's name such as smtp.example.org")
    if wanted.security not in SECURITIES:
        raise _wrong("security", "tls, starttls or none")
    if not 0 <= wanted.port <= 65_535:
        raise _wrong("port", "a port from 1 to 65535, or 0 for the usual one")
    if not 0 <= wanted.digest_hour <= 23:
        raise _wrong("digest_hour", "an hour from 0 to 23")
    if not _is_line(wanted.user) or len(wanted.user) > 254:
        raise _wrong("user", "one line")
    if any(kind not in KINDS or how not in HOWS for kind, how in wanted.kinds.items()):
        raise _wrong("kinds", f"a known kind and one of {', '.join(HOWS)}")
    if wanted.ca_file and not Path(wanted.ca_file).is_file():
        raise _wrong("ca_file", "a PEM file on this machine")
    if wanted.user and wanted.security == "none" and not wanted.is_local:
        raise Refused(
            "A password would cross the network in clear.", code="smtp-insecure", hint="Choose tls or starttls."
        )


def digested_on(conn: Connection) -> str:
    """Return the day of the last digest, as 2026-05-31; empty before the first."""
    return str(conn.execute(select(table.c.form).where(table.c.name == DIGESTED)).scalar() or "")


def note_digest(conn: Connection, day: str, now: int) -> None:
    """Remember that a day's digest was put together."""
    _put(conn, DIGESTED, day, now)


def read_mail_password(keys: Path) -> str:
    """Return the mail account's password, empty when none was given."""
    path = keys / PASSWORD_FILE
    return read_secret(path).decode() if path.exists() else ""


def write_mail_password(keys: Path, password: str) -> None:
    """Keep the mail account's password; an empty one removes it."""
    if password:
        write_secret(keys / PASSWORD_FILE, password.encode())
    else:
        destroy_secret(keys / PASSWORD_FILE)


def _put(conn: Connection, name: str, form: str, now: int) -> None:
    values = {"form": form, "updated_at": now}
    row = insert(table).values(name=name, **values)
    conn.execute(row.on_conflict_do_update(index_elements=["name"], set_=values))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_line(text: str) -> bool:
    try:
        check_line(text)
    except ValueError:
        return False
    return True


def _wrong(name: str, wanted: str) -> Refused:
    return Refused(f"{name} must be {wanted}.", code="mail-settings", hint="Correct the field.", field=name)
