"""One JSON-RPC endpoint over HTTP, through AsyncWeb3's provider.

Rule: whatever an endpoint does (silence, garbage, HTTP errors) becomes one of our errors here; web3's own
never leave this file. Every request has a deadline.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, ServerDisconnectedError

from halle_node.chain.limits import Limit, limit_of
from halle_protocol.errors import ConfigError, HalleError, Unavailable

if TYPE_CHECKING:
    from web3.types import RPCEndpoint

REQUEST_TIMEOUT_S = 10.0
HTTP_ERROR = 400
TOO_MANY = 429
MAX_REFUSAL_BYTES = 65_536
PARALLEL_REQUESTS = 16


class RpcError(HalleError):
    """The endpoint understood the request and answered with an error. Shape: `rpc_code`, `revert_data`."""

    code = "rpc-error"

    def __init__(self, rpc_code: int, message: str, revert_data: bytes | None) -> None:
        super().__init__(f"The chain answered: {message}", rpc_code=rpc_code)
        self.rpc_code = rpc_code
        self.text = message
        self.revert_data = revert_data


class RangeTooWide(RpcError):
    """The endpoint gives no logs of so many blocks, or not so many logs, at a time."""

    code = "rpc-range"


class _HttpRefusal(Exception):
    """An HTTP status that is no answer, with what its body says."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


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

        Raises: RpcError, RangeTooWide; Unavailable rpc-down, rpc-bad-answer, rpc-limited.
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
                    request_kwargs={"timeout": ClientTimeout(total=self._timeout_s)},
                    exception_retry_configuration=None,
                )
                # Its own session would open a new connection for each request.
                await provider.cache_async_session(ClientSession(raise_for_status=_require_success))
                self._provider = provider
        return self._provider

    async def _exchange(self, provider: Any, method: str, params: list[Any]) -> Any:
        endpoint = cast("RPCEndpoint", method)
        try:
            try:
                return await provider.make_request(endpoint, params)
            except ServerDisconnectedError:
                # A kept connection the far side closed meanwhile. Asking again is safe, also for a signed
                # transaction: the chain knows it by its hash.
                return await provider.make_request(endpoint, params)
        except _HttpRefusal as error:
            return _refusal(method, error)
        except ValueError as error:
            raise _bad_answer(method, "it is not JSON") from error
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


def _refusal(method: str, refusal: _HttpRefusal) -> Any:
    """Return the JSON-RPC error in the body: some endpoints send it with a status of its own.

    Raises: Unavailable rpc-limited, rpc-down.
    """
    if refusal.status == TOO_MANY:
        raise _limited(method)
    try:
        answer = json.loads(refusal.body)
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
    code, text = error.get("code"), error["message"][:500]
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
