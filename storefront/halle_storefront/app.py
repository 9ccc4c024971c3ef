"""Open the two listeners: admin and market for this machine alone, the shop for everybody.

They share no port and no route table, so a wrong rule in a reverse proxy can never expose the admin.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from halle_node.messages.shop_post import PATH

from . import admin, api, gateway, market, security, shop
from .admin.imports import WAITING
from .api import messages
from .assets import favicon, static
from .cache import CACHE, PageCache
from .failures import catch_failures
from .front import enter, health, metrics, new_setup_link, welcome, welcome_local
from .node_access import DOORKEEPER, NODE, SHOP_ADDRESS, ServedNode, ShopAddress
from .pages import set_up
from .security import Doorkeeper, Handler

log = logging.getLogger(__name__)

LOCAL_HOST = "127.0.0.1"
# Figures hold nothing personal, and a page of another origin cannot read them.
# Only forms that carry files are sent this way.
UPLOAD_TYPE = "multipart/form-data"
OPEN_PREFIXES = ("/static/", "/setup/", "/-/health", "/favicon.ico", "/metrics")


class _QuietLog(logging.LoggerAdapter[logging.Logger]):
    """Says at DEBUG what the server says, which is what strangers send; our own failures go through `failures`."""

    def log(self, level: int, msg: object, *args: object, **extra: Any) -> None:
        super().log(min(level, logging.DEBUG), msg, *args, **extra)


@dataclass(frozen=True)
class WebAddresses:
    """Where the faces are. `setup_url` opens one session, once, within 30 minutes; `token` is for the CLI."""

    local_url: str
    setup_url: str
    shop_url: str
    token: str
    doorkeeper: Doorkeeper
    runners: tuple[web.AppRunner, ...]

    def new_setup_url(self) -> str:
        return f"{self.local_url}/setup/{self.doorkeeper.new_link_token()}"

    async def close(self) -> None:
        for runner in self.runners:
            await runner.cleanup()


def make_apps(node: ServedNode, doorkeeper: Doorkeeper | None = None) -> tuple[web.Application, web.Application]:
    """The local app (admin and market) and the shop app."""
    keeper = doorkeeper or Doorkeeper(node.config.home)
    local = _app(node, _local_door(keeper))
    local[DOORKEEPER] = keeper
    local[WAITING] = OrderedDict()
    local[SHOP_ADDRESS] = ShopAddress(node.config.shop_url.rstrip("/"))
    local.add_routes(
        [
            web.get("/", welcome_local),
            web.get("/metrics", metrics),
            web.get("/setup/{token}", enter, allow_head=False),
            web.post("/-/setup-link", new_setup_link),
            *admin.routes(),
            *market.routes(),
            *api.local_routes(),
        ]
    )
    public = _app(node, _public_door(_public_hosts(node)))
    gateway.set_up(public)
    messages.set_up(public)
    public.add_routes([web.get("/", welcome), *gateway.public_routes(), *shop.routes(), *api.public_routes()])
    return local, public


def _app(node: ServedNode, door: Handler) -> web.Application:
    app = web.Application(
        middlewares=[catch_failures, door],  # type: ignore[list-item]
        client_max_size=security.UPLOAD_MAX_BYTES,
    )
    app[NODE] = node
    app[CACHE] = PageCache()
    app.on_response_prepare.append(security.dress)
    set_up(app)
    app.add_routes(
        [
            web.get("/static/{tag}/{name}", static),
            web.get("/favicon.ico", favicon),
            web.get("/-/health", health),
            *gateway.routes(),
        ]
    )
    return app


def _local_door(keeper: Doorkeeper) -> Handler:
    @web.middleware
    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        security.check_host(request, frozenset())
        if security.bears_secret(request, keeper):
            return await handler(request)
        security.check_origin(request)
        is_open = request.path.startswith(OPEN_PREFIXES)
        if not is_open and not keeper.admits(security.session_of(request)):
            raise security.session_needed()
        security.check_body(request, upload=request.content_type == UPLOAD_TYPE)
        return await handler(request)

    return door  # type: ignore[return-value]


def _public_door(hosts: frozenset[str]) -> Handler:
    @web.middleware
    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        security.check_host(request, hosts)
        if request.path == PATH:
            if request.method == "POST":
                messages.check_envelope(request)
        elif not request.path.startswith(gateway.PREFIXES):
            security.check_origin(request)
            security.check_body(request, upload=False)
        return await handler(request)

    return door  # type: ignore[return-value]


def _public_hosts(node: ServedNode) -> frozenset[str]:
    """The names the shop answers to besides loopback: its public address and the one it listens on."""
    config = node.config
    names: Iterable[str] = (urlsplit(config.shop_url).netloc, f"{config.web_host}:{config.shop_port}")
    return frozenset(name for name in names if name)


async def start_web(node: ServedNode) -> WebAddresses:
    """Serve all faces; port 0 takes a free one."""
    keeper = Doorkeeper(node.config.home)
    local, public = make_apps(node, keeper)
    local_runner, local_port = await _listen(local, LOCAL_HOST, node.config.local_port)
    try:
        shop_runner, shop_port = await _listen(public, node.config.web_host, node.config.shop_port)
    except BaseException:
        await local_runner.cleanup()
        raise
    local_url = f"http://{LOCAL_HOST}:{local_port}"
    shop_host = LOCAL_HOST if node.config.web_host in ("", "0.0.0.0", "::") else node.config.web_host  # noqa: S104
    shop_url = node.config.shop_url.rstrip("/") or f"http://{shop_host}:{shop_port}"
    local[SHOP_ADDRESS].url = shop_url
    return WebAddresses(
        local_url=local_url,
        setup_url=f"{local_url}/setup/{keeper.new_link_token()}",
        shop_url=shop_url,
        token=keeper.secret,
        doorkeeper=keeper,
        runners=(local_runner, shop_runner),
    )


async def _listen(app: web.Application, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Raises: ConfigError `port-in-use`."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, logger=_QuietLog(log))
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as exc:
        await runner.cleanup()
        raise security.port_in_use(host, port) from exc
    return runner, int(runner.addresses[0][1])
