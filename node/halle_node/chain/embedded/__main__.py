"""Run the embedded chain: `python -m halle_node.chain.embedded --data DIR [--port PORT]`.

Prints one line, `ready http://127.0.0.1:PORT`, once it answers. Ends on SIGTERM or SIGINT, or when its
standard input closes if started with `--with-parent`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from aiohttp import web

from halle_node.chain.embedded import DEFAULT_PORT
from halle_node.chain.embedded.deploy import Deployment
from halle_node.chain.embedded.methods import Methods
from halle_node.chain.embedded.server import make_app
from halle_node.chain.embedded.service import ChainService
from halle_protocol.errors import ConfigError, HalleError

LOOPBACK = "127.0.0.1"


def main() -> int:
    """Serve until told to stop; return the exit status."""
    arguments = _arguments()
    try:
        chain = ChainService(arguments.data, lambda: int(time.time()))
        try:
            asyncio.run(_serve(chain, arguments.port, with_parent=arguments.with_parent))
        finally:
            chain.close()
    except HalleError as error:
        print(f"{error.code}: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


async def _serve(chain: ChainService, port: int, *, with_parent: bool) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if with_parent:
        loop.add_reader(sys.stdin, _stop_at_end, stopping)
    runner = web.AppRunner(make_app(Methods(chain, Deployment(chain))), access_log=None)
    await runner.setup()
    try:
        print(f"ready http://{LOOPBACK}:{await _listen(runner, port)}", flush=True)
        await stopping.wait()
    finally:
        await runner.cleanup()


def _stop_at_end(stopping: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        stopping.set()


async def _listen(runner: web.AppRunner, port: int) -> int:
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
    except OSError as error:
        raise ConfigError(
            f"Port {port} is taken.", code="port-taken", hint="Choose another chain port, or 0 for any."
        ) from error
    return int(runner.addresses[0][1])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m halle_node.chain.embedded", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the chain's journal")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="loopback port; 0 takes a free one")
    parser.add_argument("--with-parent", action="store_true", help="stop when standard input closes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
