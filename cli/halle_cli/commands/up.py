"""`halle up`: run the node and its three pages until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from halle_cli.console import err, out, read_password
from halle_cli.session import live_session, require_home
from halle_node.config import Config, load

if TYPE_CHECKING:
    from halle_node.node import Node
    from halle_storefront.app import WebAddresses


@click.command()
@click.option("--local-port", type=int, help="Port of admin and market (default 8480; 0: any free one).")
@click.option("--shop-port", type=int, help="Port of the public shop (default 8481).")
@click.option("--p2p-port", type=int, help="Port other nodes dial (default 4480).")
@click.option("--peer", "bootstrap", multiple=True, help="Address of a node to join, /ip4/…/p2p/… (repeatable).")
@click.option(
    "--rpc",
    "rpc_url",
    multiple=True,
    help="EVM JSON-RPC endpoint, repeatable, best first (default: the embedded chain).",
)
@click.option("--chain-port", type=int, help="Port of the embedded chain (default 8545).")
@click.option("--open/--no-open", "open_browser", default=None, help="Open the browser (default: when there is one).")
@click.pass_obj
def up(home: Path | None, /, open_browser: bool | None = None, **settings: Any) -> None:
    """Run the node: admin and market on this machine, the shop for everyone, the network and the chain."""
    given = {name: value for name, value in settings.items() if value not in (None, ())}
    config = load(home, given)
    require_home(config)
    asyncio.run(_until_stopped(config, open_browser))


@click.command("open")
@click.option("--print", "only_print", is_flag=True, help="Print the link without opening a browser.")
@click.pass_obj
def open_pages(home: Path | None, /, only_print: bool) -> None:
    """Open the pages of the running node with a fresh one-time link."""
    with live_session(home) as node:
        url = node.new_setup_url()
    out.print(url)
    if not only_print and _has_browser():
        webbrowser.open(url)


async def _until_stopped(config: Config, open_browser: bool | None) -> None:
    """Serve until asked to stop, also while still starting; raise what ended the node by itself."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    serving, asked = asyncio.create_task(_serve(config, open_browser)), asyncio.create_task(stop.wait())
    await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    serving.cancel()
    began = loop.time()
    with suppress(asyncio.CancelledError):
        await serving
    err.print(f"Closed in {loop.time() - began:.1f} s. Nothing is lost; `halle up` takes it up again.")


async def _serve(config: Config, open_browser: bool | None) -> None:
    from halle_node.node import Node
    from halle_node.run_file import remove_run_file, write_run_file
    from halle_storefront.app import start_web
    from halle_storefront.mail import MailWriter
    from halle_storefront.site import StaticShop

    with err.status("Starting …"):
        node = Node(config, site_renderer=StaticShop(), mail_writer=MailWriter())
        await node.start()
    try:
        _unlock(node)
        web = await start_web(node)
        try:
            write_run_file(config.home, _run_file(node, web))
            _welcome(node, web, open_browser)
            await node.failed()
        finally:
            remove_run_file(config.home)
            await web.close()
    finally:
        with err.status("Closing …"):
            await node.close()


def _unlock(node: Node) -> None:
    if node.keys.locked:
        password = read_password(node.config)
        if password:
            node.keys.unlock(password)
        else:
            err.print("The store key stays locked: you can sell, but not spend. Give the password to buy.")


def _run_file(node: Node, web: WebAddresses) -> Any:
    from halle_node.run_file import RunFile

    return RunFile(
        pid=os.getpid(),
        local_url=web.local_url,
        shop_url=web.shop_url,
        token=web.token,
        peer_id=node.network.peer_id,
        addrs=tuple(node.network.addrs),
        rpc_url=node.chain.rpc_url,
    )


def _welcome(node: Node, web: WebAddresses, open_browser: bool | None) -> None:
    out.print(f"[bold]{escape(node.catalog.profile().name)}[/] is open.\n")
    out.print(f"  Your pages   {web.setup_url}")
    out.print("               [dim](opens once, within 30 minutes, on this machine only)[/]")
    out.print(f"  The shop     {web.shop_url}")
    for address in node.network.addrs:
        out.print(f"  For peers    {address}")
    out.print(f"  Chain        {node.chain.describe()}\n")
    err.print("Ctrl-C closes the node.")
    if open_browser or (open_browser is None and _has_browser()):
        webbrowser.open(web.setup_url)


def _has_browser() -> bool:
    """Return whether a person sits at a screen of this machine."""
    if not out.is_terminal or os.environ.get("CI"):
        return False
    on_screen = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or os.name == "nt"
    return on_screen or os.uname().sysname == "Darwin"
