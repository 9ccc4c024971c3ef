"""A Kubo daemon beside the node: it keeps what the store publishes, and stays up when the shop's machine is off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from halle_node.blocks.kubo.address import Address, auth_headers, parse_address
from halle_node.blocks.kubo.calls import Calls
from halle_node.blocks.kubo.daemon import Daemon
from halle_node.blocks.kubo.library import LibraryCalls
from halle_node.blocks.kubo.publisher import KuboPublisher, NameRecord, Source
from halle_node.blocks.kubo.rpc import RpcCalls
from halle_node.blocks.kubo.status import KeptPin, KuboStatus, Trouble
from halle_node.config import Config

CLIENTS: dict[str, Callable[[Address, dict[str, str], float, Path | None], Calls]] = {
    "aiohttp": RpcCalls,
    "ipfshttpclient": LibraryCalls,
}


def make_calls(config: Config) -> Calls:
    """Return the adapter that the settings name.

    Raises: ConfigError "kubo-…".
    """
    client = CLIENTS[config.kubo_client]
    headers = auth_headers(config.read_secret("kubo_auth"))
    return client(parse_address(config.kubo_api), headers, float(config.kubo_timeout_s), config.kubo_ca_file)


def make_publisher(config: Config, source: Source) -> KuboPublisher:
    """Return the duty for the daemon that the settings name, or an idle one.

    Raises: ConfigError "kubo-address".
    """
    if not config.kubo_api:
        return KuboPublisher(source, None, KuboStatus("off"))
    address = parse_address(config.kubo_api)
    status = KuboStatus("waiting", address.shown, config.kubo_client, address.is_private)
    return KuboPublisher(source, lambda: Daemon(make_calls(config)), status)


__all__ = [
    "Calls",
    "Daemon",
    "KeptPin",
    "KuboPublisher",
    "KuboStatus",
    "LibraryCalls",
    "NameRecord",
    "RpcCalls",
    "Source",
    "Trouble",
    "make_calls",
    "make_publisher",
]
