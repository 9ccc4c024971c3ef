"""One way to reach a node: its local API, of the running `halle up` or of a node started for this one command."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from halle_node.config import Config, load
from halle_node.run_file import RunFile, read_run_file
from halle_protocol.errors import ConfigError, HalleError, ProtocolError, Refused, Unavailable

# The branch of the tree that an HTTP status stands for, so that a remote error exits like a local one.
STATUS_ERRORS: dict[int, type[HalleError]] = {422: ProtocolError, 500: ConfigError, 503: Unavailable}

KNOCK_S = 2.0


class Client:
    """Call a node's local API. Blocking; one request a connection."""

    def __init__(self, local_url: str, token: str, *, timeout_s: float = 120.0) -> None:
        self._local_url, self._token, self._timeout_s = local_url, token, timeout_s

    def get(self, path: str, **query: object) -> Any:
        """Return the JSON answer of a read."""
        given = {name: str(value) for name, value in query.items() if value not in (None, "")}
        return self._call("GET", path + (f"?{urlencode(given)}" if given else ""))

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Return the JSON answer of an action."""
        return self._call("POST", path, json.dumps(dict(body or {})).encode(), "application/json")

    def put(self, path: str, body: Mapping[str, object]) -> Any:
        """Return the JSON answer of a replacement."""
        return self._call("PUT", path, json.dumps(dict(body)).encode(), "application/json")

    def delete(self, path: str) -> Any:
        """Return the JSON answer of a removal."""
        return self._call("DELETE", path)

    def upload(self, path: str, data: bytes, content_type: str, **query: object) -> Any:
        """Send raw bytes (a photo, a CSV file)."""
        given = {name: str(value) for name, value in query.items() if value not in (None, "")}
        return self._call("POST", path + (f"?{urlencode(given)}" if given else ""), data, content_type)

    def new_setup_url(self) -> str:
        """Return a fresh one-time link to the node's pages."""
        return str(self._call("POST", "/-/setup-link", prefix="")["url"])

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        content_type: str = "",
        prefix: str = "/api/v1",
    ) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if content_type:
            headers["Content-Type"] = content_type
        connection = HTTPConnection(urlsplit(self._local_url).netloc, timeout=self._timeout_s)
        try:
            connection.request(method, quote(prefix + path, safe="/?&=%:~+-._"), body, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            raise Unavailable(
                f"The node at {self._local_url} does not answer: {error}.",
                code="node-unreachable",
                hint="Is `halle up` still running? Start it and try again.",
            ) from error
        finally:
            connection.close()
        return _decode(response.status, answer)


def _decode(status: int, answer: bytes) -> Any:
    try:
        value = json.loads(answer) if answer else None
    except ValueError as error:
        raise Unavailable(
            f"The node answered {status} with something that is not JSON.", code="node-bad-answer"
        ) from error
    if status < 400:
        return value
    problem = value if isinstance(value, dict) else {}
    kind = STATUS_ERRORS.get(status, Refused)
    raise kind(
        str(problem.get("title") or f"HTTP {status}"),
        code=str(problem.get("code", "error")),
        hint=str(problem.get("detail", "")),
    )


def running(home: Path | None) -> RunFile | None:
    """Return how to reach the node that runs on this home, or None."""
    return _answering(load(home))


def _answering(config: Config) -> RunFile | None:
    found = read_run_file(config.home)
    if found is None:
        return None
    where = urlsplit(found.local_url)
    try:
        socket.create_connection((where.hostname or "", where.port or 0), timeout=KNOCK_S).close()
    except ConnectionRefusedError:
        # A note left by a crash, whose process number another program has got since.
        return None
    except OSError:
        return found
    return found


@contextmanager
def node_session(home: Path | None) -> Iterator[Client]:
    """Yield a client of the running node, or of one started on this home for the duration (no network, no chain).

    Raises: ConfigError "home-missing" when there is no node in that folder yet.
    """
    config = load(home)
    require_home(config)
    found = _answering(config)
    if found is not None:
        yield Client(found.local_url, found.token)
        return
    from halle_cli.offline import offline_node

    with offline_node(config) as (local_url, token):
        yield Client(local_url, token)


@contextmanager
def live_session(home: Path | None) -> Iterator[Client]:
    """Yield a client of the running node; what needs the network or the chain cannot be done without it.

    Raises: ConfigError "home-missing"; Unavailable "node-not-running".
    """
    require_home(load(home))
    found = running(home)
    if found is None:
        raise Unavailable(
            "No node is running on this home.",
            code="node-not-running",
            hint="Start it with `halle up` and try again.",
        )
    yield Client(found.local_url, found.token)


def require_home(config: Config) -> None:
    """Raise ConfigError "home-missing" unless a node was made in that folder."""
    from halle_node.home import is_home

    if not is_home(config):
        raise ConfigError(
            f"There is no node in {config.home} yet.", code="home-missing", hint="Make one with `halle init`."
        )
