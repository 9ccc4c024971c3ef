"""Where a daemon's RPC is and what opens it: URL, multiaddr or unix socket; basic or bearer secret."""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from halle_protocol.errors import ConfigError

DEFAULT_PORTS = {"http": 80, "https": 443}
_MULTIADDR = re.compile(r"/(ip4|ip6|dns|dns4|dns6)/([0-9A-Za-z.:_-]{1,253})/tcp/(\d{1,5})(/http|/https|/tls/http)?/?")
_UNIX = re.compile(r"(?:unix:(?://)?|/unix)(/.+)")


@dataclass(frozen=True)
class Address:
    """`host` and `port` are empty and 0 for a unix socket, `unix` is empty for everything else."""

    kind: str
    host: str
    port: int
    tls: bool
    unix: str

    @property
    def url(self) -> str:
        """Return the start of every URL, without a slash at the end."""
        if self.unix:
            return "http://kubo"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def multiaddr(self) -> str:
        """Return the address as libraries of the IPFS world spell it."""
        if self.unix:
            return f"/unix{self.unix}"
        return f"/{self.kind}/{self.host}/tcp/{self.port}/{'https' if self.tls else 'http'}"

    @property
    def shown(self) -> str:
        """Return the address for people."""
        return f"unix:{self.unix}" if self.unix else self.url

    @property
    def is_private(self) -> bool:
        """True when nobody on the way can read along: this machine, or TLS."""
        return bool(self.unix) or self.tls or self.host == "localhost" or _is_loopback(self.host)


def parse_address(text: str) -> Address:
    """Read http(s)://host:port, /ip4/…/tcp/…, /dns4/…/tcp/…/https, unix:/path or /unix/path.

    Raises: ConfigError "kubo-address".
    """
    socket = _UNIX.fullmatch(text)
    if socket is not None:
        return Address("unix", "", 0, False, socket[1])
    multi = _MULTIADDR.fullmatch(text)
    if multi is not None:
        return Address(multi[1], multi[2], _port(text, int(multi[3])), multi[4] in ("/https", "/tls/http"), "")
    return _from_url(text)


def _from_url(text: str) -> Address:
    try:
        parts = urlsplit(text)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError as exc:
        raise _unreadable(text) from exc
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.query or parts.fragment:
        raise _unreadable(text)
    if parts.path.rstrip("/") not in ("", "/api/v0"):
        raise _unreadable(text)
    if parts.username or parts.password:
        raise ConfigError(
            "The address of the IPFS daemon holds a password.",
            code="kubo-address",
            hint="Put it into HALLE_KUBO_AUTH as basic:user:password.",
        )
    return Address(_kind(parts.hostname), parts.hostname, _port(text, port), parts.scheme == "https", "")


def _port(text: str, port: int) -> int:
    if not 0 < port < 65536:
        raise _unreadable(text)
    return port


def _kind(host: str) -> str:
    try:
        return f"ip{ipaddress.ip_address(host).version}"
    except ValueError:
        return "dns"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unreadable(text: str) -> ConfigError:
    return ConfigError(
        f"{text[:200]!r} is not the address of an IPFS daemon's RPC.",
        code="kubo-address",
        hint="kubo_api looks like http://127.0.0.1:5001, /ip4/127.0.0.1/tcp/5001 or unix:/run/ipfs.sock.",
    )


def auth_headers(secret: str) -> dict[str, str]:
    """Return the headers for a secret as Kubo's API.Authorizations spells it; none for an empty one.

    Raises: ConfigError "kubo-auth-shape".
    """
    if not secret:
        return {}
    kind, _, rest = secret.partition(":")
    if kind == "bearer" and rest:
        return {"Authorization": f"Bearer {rest}"}
    if kind == "basic" and ":" in rest:
        return {"Authorization": "Basic " + base64.b64encode(rest.encode()).decode()}
    raise ConfigError(
        "The secret for the IPFS daemon has no known form.",
        code="kubo-auth-shape",
        hint="Write basic:user:password or bearer:token, as in the daemon's API.Authorizations.",
    )
