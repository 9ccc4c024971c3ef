"""Kubo's RPC over aiohttp: the adapter that is used unless the settings say otherwise."""

from __future__ import annotations

import io
import ssl
from pathlib import Path
from typing import Any

import aiohttp
from pydantic_core import from_json

from halle_node.blocks.kubo import failures
from halle_node.blocks.kubo.address import Address
from halle_node.blocks.kubo.calls import CHUNKER, CODEC_NAMES, Json
from halle_protocol.cid import CID
from halle_protocol.errors import ConfigError, Refused

MAX_ANSWER_BYTES = 16 * 1024 * 1024


class RpcCalls:
    """One daemon. Units: `timeout_s` bounds each call and, in long ones, each silence."""

    def __init__(self, address: Address, headers: dict[str, str], timeout_s: float, ca_file: Path | None) -> None:
        self._address = address
        self._headers = headers
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    async def version(self) -> Json:
        return await self._one("version")

    async def identity(self) -> Json:
        return await self._one("id")

    async def repo_stat(self) -> Json:
        return await self._one("repo/stat", size_only=True)

    async def hash_file(self, data: bytes) -> Json:
        options = {"cid_version": 1, "raw_leaves": True, "only_hash": True, "pin": False, "chunker": CHUNKER}
        return await self._one("add", data=data, **options)

    async def block_stat(self, cid: CID) -> Json:
        return await self._one("block/stat", str(cid), offline=True)

    async def block_put(self, cid: CID, data: bytes) -> Json:
        return await self._one("block/put", data=data, cid_codec=CODEC_NAMES[cid.codec], mhtype="sha2-256", pin=False)

    async def dag_import(self, car: bytes) -> list[Json]:
        return await self._call("dag/import", data=car, pin_roots=False, stats=True)

    async def pin_list(self, kind: str, name: str) -> Json:
        return await self._one("pin/ls", type=kind, name=name, names=True)

    async def pin_look(self, cid: CID) -> Json:
        return await self._one("pin/ls", str(cid), type="recursive", names=True)

    async def pin_add(self, cid: CID, *, recursive: bool, name: str) -> Json:
        # Progress lines tell a daemon that is busy from one that hangs.
        lines = await self._call("pin/add", str(cid), recursive=recursive, name=name, progress=True, long=True)
        return lines[-1]

    async def pin_remove(self, cid: CID, *, recursive: bool) -> Json:
        return await self._one("pin/rm", str(cid), recursive=recursive)

    async def name_put(self, name: str, record: bytes) -> Json:
        try:
            return await self._one("name/put", name, data=record, allow_offline=True)
        except Refused as exc:
            if exc.code != "kubo-call-gone":
                raise
        # Before Kubo 0.40 there was only the general call, which does not compare sequences.
        await self._one("routing/put", f"/ipns/{name}", data=record, allow_offline=True)
        return {"Name": name}

    async def provide(self, cid: CID) -> None:
        try:
            await self._call("provide/once", str(cid))
        except Refused as exc:
            if exc.code != "kubo-call-gone":
                raise
            await self._call("routing/provide", str(cid))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # the transport

    async def _one(self, path: str, *args: str, data: bytes | None = None, **options: Any) -> Json:
        lines = await self._call(path, *args, data=data, **options)
        if len(lines) != 1:
            raise failures.nonsense(path, f"{len(lines)} values instead of one")
        return lines[0]

    async def _call(
        self, path: str, *args: str, data: bytes | None = None, long: bool = False, **options: Any
    ) -> list[Json]:
        """Return the JSON objects of one answer."""
        query = [("arg", arg) for arg in args] + [(name.replace("_", "-"), _text(v)) for name, v in options.items()]
        total = None if long else self._timeout_s
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=self._timeout_s, sock_read=self._timeout_s)
        try:
            async with self._opened().post(
                f"{self._address.url}/api/v0/{path}",
                params=query,
                data=None if data is None else _form(data),
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                body = await _bounded(response, path)
                if response.status != 200:
                    raise failures.answered(path, response.status, body.decode(errors="replace"))
        except TimeoutError as exc:
            raise failures.slow(self._address.shown, path, self._timeout_s) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise failures.down(self._address.shown, exc) from exc
        return parse_lines(path, body)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            address = self._address
            connector = (
                aiohttp.UnixConnector(address.unix)
                if address.unix
                else aiohttp.TCPConnector(ssl=_trust(self._ca_file) if address.tls else True)
            )
            self._session = aiohttp.ClientSession(connector=connector, headers=self._headers, trust_env=False)
        return self._session


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as exc:
        raise ConfigError(
            f"The certificates in {ca_file} cannot be read: {exc}.",
            code="kubo-ca-file",
            hint="kubo_ca_file names a PEM file with the authority that signed the daemon's certificate.",
        ) from exc


def _form(data: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(data), filename="file", content_type="application/octet-stream")
    return form


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def _bounded(response: aiohttp.ClientResponse, path: str) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(64 * 1024):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise failures.nonsense(path, f"more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def parse_lines(path: str, body: bytes) -> list[Json]:
    """Return the JSON objects in an answer, one a line. Raises: RemoteProtocolError "kubo-answer"."""
    try:
        lines = [from_json(line) for line in body.splitlines() if line.strip()]
    except ValueError as exc:
        raise failures.nonsense(path, "something that is not JSON") from exc
    if not all(isinstance(line, dict) for line in lines):
        raise failures.nonsense(path, "something that is not an object")
    return lines
