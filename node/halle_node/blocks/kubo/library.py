"""Kubo's RPC through ipfshttpclient 0.8.0a2: blocking, so in a worker thread, and only for calls that still work.

The library was written for go-ipfs 0.8 and is no longer kept. Of its calls, Kubo has removed or changed some; they are
refused here instead of failing in some way of their own. What the library has no call for goes through its transport.
"""

from __future__ import annotations

import asyncio
import io
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from halle_node.blocks.kubo import failures
from halle_node.blocks.kubo.address import Address
from halle_node.blocks.kubo.calls import CHUNKER, CODEC_NAMES, Json
from halle_protocol.cid import CID
from halle_protocol.errors import ConfigError

# By name in the library. Everything else of it is refused: dht.*, object.*, pubsub.*, dns, bitswap.wantlist, …
WORKING = frozenset(
    "version id add block.put block.stat dag.imprt pin.add pin.ls pin.rm repo.stat".split()  # noqa: SIM905
)


class LibraryCalls:
    """One daemon. Units: `timeout_s` bounds each silence."""

    def __init__(self, address: Address, headers: dict[str, str], timeout_s: float, ca_file: Path | None) -> None:
        if ca_file is not None:
            raise ConfigError(
                "ipfshttpclient cannot be given certificates.",
                code="kubo-client",
                hint='Use kubo_client = "aiohttp", or take kubo_ca_file away.',
            )
        self._address = address
        self._headers = headers
        self._timeout_s = timeout_s
        self._client: Any = None
        # One connection pool that is not made for several threads: one call at a time.
        self._turn = asyncio.Lock()

    async def version(self) -> Json:
        return await self.call("version")

    async def identity(self) -> Json:
        return await self.call("id")

    async def repo_stat(self) -> Json:
        return await self.call("repo.stat", opts={"size-only": "true"})

    async def hash_file(self, data: bytes) -> Json:
        # Left alone, the library asks for leaves that are not raw, and every CID of a file would differ.
        options = {"cid_version": 1, "raw_leaves": True, "only_hash": True, "pin": False, "chunker": CHUNKER}
        return await self.call("add", io.BytesIO(data), **options)

    async def block_stat(self, cid: CID) -> Json:
        return await self.call("block.stat", str(cid), offline=True)

    async def block_put(self, cid: CID, data: bytes) -> Json:
        options = {"cid-codec": CODEC_NAMES[cid.codec], "mhtype": "sha2-256", "pin": "false"}
        return await self.call("block.put", io.BytesIO(data), opts=options)

    async def dag_import(self, car: bytes) -> list[Json]:
        return [await self.call("dag.imprt", io.BytesIO(car), opts={"pin-roots": "false", "stats": "true"})]

    async def pin_list(self, kind: str, name: str) -> Json:
        return await self.call("pin.ls", type=kind, opts={"name": name, "names": "true"})

    async def pin_look(self, cid: CID) -> Json:
        return await self.call("pin.ls", str(cid), type="recursive", opts={"names": "true"})

    async def pin_add(self, cid: CID, *, recursive: bool, name: str) -> Json:
        return await self.call("pin.add", str(cid), recursive=recursive, opts={"name": name})

    async def pin_remove(self, cid: CID, *, recursive: bool) -> Json:
        return await self.call("pin.rm", str(cid), recursive=recursive)

    async def name_put(self, name: str, record: bytes) -> Json:
        return await self._request("/name/put", [name], record, {"allow-offline": "true"})

    async def provide(self, cid: CID) -> None:
        await self._request("/provide/once", [str(cid)], None, {})

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    async def call(self, name: str, *args: Any, **options: Any) -> Json:
        """Make one of the library's calls by its name there.

        Raises: Refused "kubo-call-gone" for one that today's Kubo does not serve as the library makes it.
        """
        if name not in WORKING:
            raise failures.gone(name)

        def run(client: Any) -> Any:
            found = client
            for part in name.split("."):
                found = getattr(found, part)
            return found(*args, **options).as_json()

        return _one(name, await self._run(name, run))

    async def _request(self, path: str, args: list[str], data: bytes | None, opts: dict[str, str]) -> Json:
        def run(client: Any) -> Any:
            from ipfshttpclient import multipart

            body, headers = (None, {}) if data is None else multipart.stream_files(io.BytesIO(data))
            return client._client.request(path, args, opts=opts, decoder="json", data=body, headers=headers)

        lines = await self._run(path, run)
        return _one(path, lines[-1] if lines else {})

    async def _run(self, name: str, run: Callable[[Any], Any]) -> Any:
        async with self._turn:
            return await _in_thread(lambda: self._blocking(name, run))

    def _blocking(self, name: str, run: Callable[[Any], Any]) -> Any:
        from ipfshttpclient import exceptions

        shown = self._address.shown
        try:
            return run(self._opened())
        except exceptions.TimeoutError as exc:
            raise failures.slow(shown, name, self._timeout_s) from exc
        except exceptions.StatusError as exc:
            raise failures.answered(name, _status(exc), _words(exc)) from exc
        except exceptions.CommunicationError as exc:
            raise failures.down(shown, exc) from exc
        except (exceptions.Error, AssertionError, AttributeError, ValueError) as exc:
            # The library checks answers by assertion, and does not survive those it does not expect.
            raise failures.nonsense(name, f"what ipfshttpclient cannot read: {exc!r}") from exc
        except OSError as exc:
            raise failures.down(shown, exc) from exc

    def _opened(self) -> Any:
        if self._client is None:
            import ipfshttpclient

            # What urllib3 announces is its version 3, which pyproject.toml excludes.
            warnings.filterwarnings("ignore", "The 'strict' parameter", FutureWarning)
            self._client = ipfshttpclient.Client(
                self._address.multiaddr, headers=self._headers or None, timeout=self._timeout_s, session=True
            )
        return self._client


async def _in_thread(work: Callable[[], Any]) -> Any:
    """Run blocking work in a thread that a stopping process does not wait for: a frozen daemon would hold it up."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as exc:  # the thread's top: whoever waits gets it
            error = exc
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="halle-kubo", daemon=True).start()
    return await future


def _one(name: str, value: Any) -> Json:
    if not isinstance(value, dict):
        raise failures.nonsense(name, "something that is not an object")
    return value


def _status(error: Any) -> int:
    response = getattr(error.original, "response", None)
    return int(getattr(response, "status_code", 500) or 500)


def _words(error: Any) -> str:
    return str(error.args[0]) if error.args else str(error)
