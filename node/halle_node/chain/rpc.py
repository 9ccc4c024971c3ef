"""One JSON-RPC endpoint over HTTP, through AsyncWeb3's provider.

Rule: whatever an endpoint does (silence, garbage, HTTP errors) becomes one of our errors here; web3's own
never leave this file. Every request has a deadline and a bound on what is read, and goes nowhere else: a redirect is
not followed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, ServerDisconnectedError
from pydantic_core import from_json

from halle_node.chain.limits import Limit, limit_of
from halle_protocol.errors import ConfigError, HalleError, Unavailable

if TYPE_CHECKING:
    from web3.types import RPCEndpoint

REQUEST_TIMEOUT_S = 10.0
MOVED, HTTP_ERROR = 300, 400
TOO_MANY = 429
MAX_ANSWER_BYTES = 8 << 20
"""Room for the logs of nine thousand events, or a block of a hundred thousand transactions."""
MAX_REFUSAL_BYTES = 65_536
MAX_TEXT = 500
PARALLEL_REQUESTS = 16
REVERT_CODE = 3


class RpcError(HalleError):
    """The endpoint understood the request and answered with an error. Shape: `rpc_code`, `revert_data`."""

    code = "rpc-error"

    def __init__(self, rpc_code: int, message: str, revert_data: bytes | None) -> None:
        super().__init__(f"The chain answered: {message}", rpc_code=rpc_code)
        self.rpc_code = rpc_code
        self.text = message
        self.revert_data = revert_data

    @property
    def is_revert(self) -> bool:
        """Whether a contract refused, and not the endpoint."""
        return bool(self.rpc_code == REVERT_CODE or self.revert_data or "revert" in self.text.lower())


class RangeTooWide(RpcError):
    """The endpoint gives no logs of so many blocks, or not so many logs, at a time."""

    code = "rpc-range"


class _HttpRefusal(Exception):
    """An HTTP status that is no answer, with what its body says."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


class _TooLarge(Exception):
    """An answer above the bound."""


class _BoundedResponse(ClientResponse):
    """Reads no further than the bound, also of what was compressed."""

    async def read(self) -> bytes:
        if self._body is None:
            body = bytearray()
            while part := await self.content.readany():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    self.close()
                    raise _TooLarge
            self._body = bytes(body)
        return await super().read()


class RpcEndpoint:
    """Requests to one endpoint. web3 is loaded at the first one, off the loop: its import takes a second."""

    def __init__(self, url: str, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(
                f"{url!r} is not an http or https address.",
                code="rpc-url",
                hint="Set rpc_url to the JSON-RPC address of an EVM node.",
            )
        self.url = url
        self._timeout_s = timeout_s
        self._provider: Any = None
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(PARALLEL_REQUESTS)

    async def request(self, method: str, *params: Any) -> Any:
        """Return the result.

        Raises: RpcError, RangeTooWide; Unavailable rpc-down, rpc-bad-answer, rpc-limited, rpc-moved, rpc-too-large.
        """
        provider = self._provider or await self._open()
        async with self._slots:
            answer = await self._exchange(provider, method, list(params))
        return _result(method, answer)

    async def close(self) -> None:
        provider, self._provider = self._provider, None
        if provider is not None:
            await provider.disconnect()

    async def _open(self) -> Any:
        async with self._opening:
            if self._provider is None:
                provider_class = await asyncio.to_thread(_load_provider)
                provider = provider_class(
                    self.url,
                    request_kwargs={"timeout": ClientTimeout(), "allow_redirects": False},
                    exception_retry_configuration=None,
                )
                # Its own session would open a new connection for each request.
                # Its own reader nests as deep as the answer does. A library that it loads lifts Python's limit, and
                # the stack ends first, and the node with it.
                provider.decode_rpc_response = from_json
                session = ClientSession(raise_for_status=_require_success, response_class=_BoundedResponse)
                await provider.cache_async_session(session)
                self._provider = provider
        return self._provider

    async def _exchange(self, provider: Any, method: str, params: list[Any]) -> Any:
        endpoint = cast("RPCEndpoint", method)
        try:
            async with asyncio.timeout(self._timeout_s):  # of the whole exchange, however slowly it drips
                try:
                    return await provider.make_request(endpoint, params)
                except ServerDisconnectedError:
                    # A kept connection the far side closed meanwhile. Asking again is safe, also for a signed
                    # transaction: the chain knows it by its hash.
                    return await provider.make_request(endpoint, params)
        except _HttpRefusal as error:
            return _refusal(method, error)
        except _TooLarge as error:
            raise _too_large(method, params) from error
        except ValueError as error:
            raise _bad_answer(method, "it is not JSON, or nested too deep") from error
        except (ClientError, OSError, TimeoutError) as error:
            raise Unavailable(
                f"The chain endpoint did not answer {method} ({type(error).__name__}).",
                code="rpc-down",
                hint="The node keeps trying; check rpc_url and the network if this lasts.",
                url=self.url,
            ) from error


async def _require_success(response: ClientResponse) -> None:
    if response.status >= HTTP_ERROR:
        raise _HttpRefusal(response.status, await response.content.read(MAX_REFUSAL_BYTES))
    if response.status >= MOVED:
        raise _HttpRefusal(response.status, response.headers.get("Location", "").encode()[:MAX_TEXT])


def _refusal(method: str, refusal: _HttpRefusal) -> Any:
    """Return the JSON-RPC error in the body: some endpoints send it with a status of its own.

    Raises: Unavailable rpc-limited, rpc-moved, rpc-down.
    """
    if refusal.status == TOO_MANY:
        raise _limited(method)
    if refusal.status < HTTP_ERROR:
        raise _moved(_printable(refusal.body.decode(errors="replace")))
    try:
        answer = from_json(refusal.body)
    except ValueError:
        answer = None
    if isinstance(answer, dict) and answer.get("error"):
        return answer
    raise Unavailable(
        f"The chain endpoint answered {method} with HTTP status {refusal.status}.",
        code="rpc-down",
        hint="The node keeps trying; check rpc_url if this lasts.",
    )


def _load_provider() -> Any:
    from web3 import AsyncHTTPProvider

    return AsyncHTTPProvider


def _result(method: str, answer: Any) -> Any:
    if not isinstance(answer, dict):
        raise _bad_answer(method, "it is not an object")
    error = answer.get("error")
    if error is not None:
        raise _rpc_error(method, error)
    if "result" not in answer:
        raise _bad_answer(method, "it has neither result nor error")
    return answer["result"]


def _rpc_error(method: str, error: Any) -> HalleError:
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return _bad_answer(method, "its error has no message")
    code, text = error.get("code"), _printable(error["message"])
    code = code if isinstance(code, int) else 0
    limit = limit_of(method, code, text)
    if limit is Limit.RATE:
        return _limited(method)
    kind = RangeTooWide if limit is Limit.RANGE else RpcError
    return kind(code, text, _revert_data(error.get("data")))


def _revert_data(value: Any) -> bytes | None:
    """Return what a contract reverted with. Some endpoints wrap it: {"data": "0x…"}."""
    if isinstance(value, dict):
        value = value.get("data")
    if not isinstance(value, str) or not value.startswith("0x"):
        return None
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        return None


def _printable(text: str) -> str:
    """Return what may stand on a page, in a terminal and in the database of a stranger's text."""
    return "".join(each if each.isprintable() else " " for each in text[:MAX_TEXT])


def _limited(method: str) -> Unavailable:
    return Unavailable(
        f"The chain endpoint takes no more requests for now (asked for {method}).",
        code="rpc-limited",
        hint="The node waits and asks again; a second rpc_url, or a larger plan there, ends the waiting.",
    )


def _bad_answer(method: str, why: str) -> Unavailable:
    return Unavailable(
        f"The chain endpoint gave no usable answer to {method}: {why}.",
        code="rpc-bad-answer",
        hint="Use another rpc_url if this lasts.",
    )


def _moved(target: str) -> Unavailable:
    return Unavailable(
        f"The chain endpoint sends us elsewhere ({target or 'it does not say where'}); that is not followed.",
        code="rpc-moved",
        hint="If you trust that address, set rpc_url to it.",
    )


def _too_large(method: str, params: list[Any]) -> HalleError:
    """Return the error for an answer above the bound. Fewer blocks have fewer logs; nothing else is ever so large."""
    text = f"its answer to {method} has more than {MAX_ANSWER_BYTES >> 20} MiB"
    if method == "eth_getLogs" and "blockHash" not in params[0] and params[0]["fromBlock"] != params[0]["toBlock"]:
        return RangeTooWide(0, text, None)
    return Unavailable(
        f"The chain endpoint floods this node: {text}.",
        code="rpc-too-large",
        hint="It is not asked any more for an hour. Take it out of rpc_url.",
    )
