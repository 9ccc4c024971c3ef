"""`halle contracts` and `halle chain`: the contracts' addresses, and a chain for this machine."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from halle_cli.console import err, out, print_facts, print_json
from halle_node.config import load, paths
from halle_protocol.errors import ConfigError
from halle_protocol.keys import to_checksum


@click.group()
def contracts() -> None:
    """Deploy the escrow, tracking and warranty contracts, or see where they are."""


@contracts.command("deploy")
@click.option("--rpc", "rpc_url", required=True, help="EVM JSON-RPC endpoint.")
@click.option(
    "--key-file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the private key (hex) that pays for the deployment.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def deploy(rpc_url: str, key_file: Path, as_json: bool) -> None:
    """Deploy what is missing. The addresses are the same on every chain; nobody owns the contracts."""
    private = _read_key(key_file)
    with err.status("Deploying …"):
        addresses = asyncio.run(_deploy_to(rpc_url, private))
    print_json(addresses) if as_json else print_facts(addresses)


async def _deploy_to(rpc_url: str, private: bytes) -> dict[str, str]:
    from halle_node.chain import ChainClient, deploy_contracts

    client = ChainClient(rpc_url)
    try:
        await client.connect()
        found = await deploy_contracts(client, private)
    finally:
        await client.close()
    return {name: to_checksum(address) for address, name in found.watched().items()}


def _read_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="utf-8").strip().removeprefix("0x"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} does not hold a hexadecimal key.", code="key-malformed") from error
    if len(key) != 32:
        raise ConfigError(f"The key in {path} has {len(key)} bytes, not 32.", code="key-malformed")
    return key


@click.command()
@click.option("--port", type=int, help="Port to listen on (default 8545).")
@click.pass_obj
def chain(home: Path | None, /, port: int | None) -> int:
    """Run the embedded chain alone, in the foreground, for several nodes of this machine to share."""
    import subprocess

    config = load(home, {"chain_port": port})
    out.print(f"Embedded chain on http://127.0.0.1:{config.chain_port}. Ctrl-C ends it; its blocks are kept.")
    arguments = ["--port", str(config.chain_port), "--data", str(paths(config)["chain"])]
    return subprocess.call([sys.executable, "-m", "halle_node.chain.embedded", *arguments])  # noqa: S603  our own module
