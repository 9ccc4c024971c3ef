"""HTTP for the embedded chain: JSON-RPC 2.0 over POST, single or in batches, for this machine only.

Rule: a page in somebody's browser must not reach it: foreign Host, any Origin and any other content type are
refused.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from pydantic_core import from_json

from halle_node.chain.embedded.methods import Methods, RpcError

MAX_REQUEST_BYTES = 1024 * 1024
MAX_BATCH = 500
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INTERNAL_ERROR = -32603

_log = logging.getLogger(__name__)


def make_app(methods: Methods) -> web.Application:
    """Return the HTTP application that answers from `methods`."""

    async def handle(request: web.Request) -> web.Response:
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        try:
            body = from_json(await request.read())
        except ValueError:
            return _json(_error(None, PARSE_ERROR, "parse error"))
        if not isinstance(body, list):
            return _json(_answer(methods, body))
        if not 0 < len(body) <= MAX_BATCH:
            return _json(_error(None, INVALID_REQUEST, f"a batch holds 1 to {MAX_BATCH} requests"))
        return _json([_answer(methods, each) for each in body])

    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_post("/", handle)
    return app


def _refusal(request: web.Request) -> web.Response | None:
    if _host_name(request.headers.get("Host", "")) not in LOOPBACK_NAMES:
        return web.Response(status=403, text="This chain answers to 127.0.0.1 and localhost only.\n")
    if "Origin" in request.headers:
        return web.Response(status=403, text="This chain does not answer web pages.\n")
    if request.content_type != "application/json":
        return web.Response(status=415, text="Send application/json.\n")
    return None


def _host_name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _answer(methods: Methods, request: Any) -> dict[str, Any]:
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return _error(None, INVALID_REQUEST, "invalid request")
    request_id = request.get("id")
    params = request.get("params") or []
    if not isinstance(params, list):
        return _error(request_id, INVALID_REQUEST, "parameters must be a list")
    try:
        result = methods.answer(request["method"], params)
    except RpcError as error:
        return _error(request_id, error.code, error.message, error.revert_data)
    except Exception as error:  # the top of one request: a surprise in py-evm must not end the chain
        _log.warning("%s failed: %r", request["method"][:80], error)
        return _error(request_id, INTERNAL_ERROR, f"internal error: {type(error).__name__}")
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def _error(request_id: Any, code: int, message: str, revert_data: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if revert_data is not None:
        error["data"] = revert_data
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def _json(body: Any) -> web.Response:
    return web.json_response(body)
