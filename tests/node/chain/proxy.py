"""A proxy before a real chain's JSON-RPC: it lags, limits, lies, fails or keeps silent as a test tells it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from aiohttp import ClientSession, TCPConnector, web

Twist = Callable[[list[Any], Any], Any]
RANGE_ERROR = {"code": -32005, "message": "query returned more than 10000 results"}


class Proxy:
    """Passes requests on to `upstream` and answers back, changed.

    Shape: `twists` change a method's result, `instead` answers without asking the chain; `lag` hides the newest
    blocks; `max_range` and `max_logs` limit eth_getLogs; `error` is a JSON-RPC error and `status` an HTTP status
    for every request.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.twists: dict[str, Twist] = {}
        self.instead: dict[str, Callable[[list[Any]], Any]] = {}
        self.lag = 0
        self.max_range = self.max_logs = 1_000_000
        self.range_error: dict[str, Any] = RANGE_ERROR
        self.error: dict[str, Any] | None = None
        self.status: int | None = None
        self.silent = False
        self.asked: Counter[str] = Counter()
        self.ranges: list[int] = []
        self.url = ""
        self._released = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._session = ClientSession(connector=TCPConnector(force_close=True))
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._released.set()
        await self._runner.cleanup()
        await self._session.close()

    async def ask(self, method: str, *params: Any) -> Any:
        """Return what the chain itself says."""
        return (await self._pass_on({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}))["result"]

    async def _handle(self, request: web.Request) -> web.Response:
        asked = await request.json()
        method, params = asked["method"], asked["params"]
        self.asked[method] += 1
        if self.silent:
            await self._released.wait()
        if self.status is not None:
            body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": self.error} if self.error else {})
            return web.Response(status=self.status, text=body)
        error = self.error or (await self._range_trouble(params[0]) if method == "eth_getLogs" else None)
        if error is not None:
            return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "error": error})
        if method in self.instead:
            return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": self.instead[method](params)})
        answer = await self._pass_on(asked)
        if "result" in answer:
            answer["result"] = await self._lagging(method, params, answer["result"])
            if method in self.twists:
                answer["result"] = self.twists[method](params, answer["result"])
        return web.json_response(answer)

    async def _pass_on(self, asked: dict[str, Any]) -> dict[str, Any]:
        async with self._session.post(self.upstream, json=asked) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def _range_trouble(self, wanted: dict[str, str]) -> dict[str, Any] | None:
        if "blockHash" in wanted:
            return None
        size = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
        self.ranges.append(size)
        if size > self.max_range or len(await self.ask("eth_getLogs", wanted)) > self.max_logs:
            return self.range_error
        return None

    async def _lagging(self, method: str, params: list[Any], result: Any) -> Any:
        """What an endpoint would say that has not got the newest blocks; of logs it says nothing, and no error."""
        if not self.lag:
            return result
        top = int(await self.ask("eth_blockNumber"), 16) - self.lag
        if method == "eth_blockNumber":
            return hex(top)
        if method == "eth_getBlockByNumber":
            if params[0] == "latest":
                return await self.ask(method, hex(top), params[1])
            return result if result and int(result["number"], 16) <= top else None
        if method == "eth_getLogs" and "blockHash" not in params[0]:
            return [log for log in result if int(log["blockNumber"], 16) <= top]
        return result
