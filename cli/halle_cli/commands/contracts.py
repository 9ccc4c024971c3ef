"""`halle contracts` and `halle chain`: the contracts' addresses, and a chain for this machine."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from halle_cli.console import err, out, print_facts, print_json, print_rows
from halle_node.config import load, paths
from halle_protocol.errors import ConfigError
from halle_protocol.keys import to_checksum


@click.group()
def contracts() -> None:
    """Deploy the escrow, tracking and warranty contracts, or check those on a chain."""


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


@contracts.command("verify")
@click.option("--rpc", "rpc_url", required=True, help="EVM JSON-RPC endpoint.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def verify(rpc_url: str, as_json: bool) -> None:
    """Compare the code on a chain with the code of this release, byte for byte."""
    with err.status("Reading the code …"):
        chain_id, found = asyncio.run(_read_code(rpc_url))
    rows = [
        {"contract": name, "address": to_checksum(address), "verdict": _verdict(name, code), "bytes": len(code)}
        for name, (address, code) in found.items()
    ]
    if as_json:
        print_json(rows)
    else:
        print_rows(tuple(rows[0]), [list(row.values()) for row in rows], empty="")
    _require_all(chain_id, {str(row["contract"]): str(row["verdict"]) for row in rows})


async def _read_code(rpc_url: str) -> tuple[int, dict[str, tuple[bytes, bytes]]]:
    from halle_contracts import DEPLOYMENTS, SHIPPED, predicted_address
    from halle_node.chain import ChainClient

    client = ChainClient(rpc_url)
    try:
        await client.connect()
        known = DEPLOYMENTS.get(client.chain_id, {})
        places = {name: known.get(name) or predicted_address(name) for name in SHIPPED}
        return client.chain_id, {name: (place, await client.code(place)) for name, place in places.items()}
    finally:
        await client.close()


def _verdict(name: str, code: bytes) -> str:
    from halle_contracts import deployed_runtime

    if not code:
        return "missing"
    return "same" if code == deployed_runtime(name) else "different"


def _require_all(chain_id: int, verdicts: dict[str, str]) -> None:
    different = [name for name, verdict in verdicts.items() if verdict == "different"]
    missing = [name for name, verdict in verdicts.items() if verdict == "missing"]
    if different:
        raise ConfigError(
            f"On chain {chain_id} the code of {', '.join(different)} is not this release's.",
            code="contracts-differ",
            hint="Send no money there; check the endpoint with another one, and your copy of Halle.",
        )
    if missing:
        raise ConfigError(
            f"Chain {chain_id} has no {', '.join(missing)} of this release.",
            code="contracts-missing",
            hint="Deploy with `halle contracts deploy`, or choose a chain that has them.",
        )


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
