"""`halle contracts` and `halle chain`: the contracts' addresses, and a chain for this machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from halle_cli.console import err, out, print_facts, print_json, print_rows
from halle_node.config import load, paths
from halle_protocol.errors import ConfigError
from halle_protocol.keys import to_checksum

if TYPE_CHECKING:
    from halle_contracts import CourtArbiter


_ARBITER = "ArbiterERC792"


@click.group()
def contracts() -> None:
    """Deploy the escrow, tracking and warranty contracts, or check those on a chain."""


def _court_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a court, and with it the adapter that makes it an arbiter."""
    for option in (
        click.option("--court-rules", default="", help="URI of the ERC-1497 document its jurors read."),
        click.option("--court-data", default="", help="What the court wants to be told (hex): which jurors, how many."),
        click.option("--court", help="Address of an ERC-792 court: also the adapter that makes it an arbiter."),
    ):
        command = option(command)
    return command


@contracts.command("deploy")
@click.option("--rpc", "rpc_url", required=True, help="EVM JSON-RPC endpoint.")
@click.option(
    "--key-file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the private key (hex) that pays for the deployment.",
)
@_court_options
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def deploy(rpc_url: str, key_file: Path, court: str | None, court_data: str, court_rules: str, as_json: bool) -> None:
    """Deploy what is missing. The addresses are the same on every chain; nobody owns the contracts."""
    private = _read_key(key_file)
    arbiter = _court_arbiter(court, court_data, court_rules)
    with err.status("Deploying …"):
        addresses = asyncio.run(_deploy_to(rpc_url, private, arbiter))
    print_json(addresses) if as_json else print_facts(addresses)


async def _deploy_to(rpc_url: str, private: bytes, arbiter: CourtArbiter | None) -> dict[str, str]:
    from halle_node.chain import ChainClient, court_arbiter, deploy_contracts

    client = ChainClient(rpc_url)
    try:
        await client.connect()
        if arbiter is not None and not await client.code(arbiter.court):
            raise ConfigError(
                f"Chain {client.chain_id} has no court at {to_checksum(arbiter.court)}.",
                code="court-missing",
                hint="Look the court's address up again; it may be on another chain.",
            )
        found = await deploy_contracts(client, private, also=[court_arbiter(arbiter)] if arbiter else [])
    finally:
        await client.close()
    addresses = {name: to_checksum(address) for address, name in found.watched().items()}
    return addresses | ({_ARBITER: to_checksum(arbiter.address)} if arbiter else {})


@contracts.command("verify")
@click.option("--rpc", "rpc_url", required=True, help="EVM JSON-RPC endpoint.")
@_court_options
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def verify(rpc_url: str, court: str | None, court_data: str, court_rules: str, as_json: bool) -> None:
    """Compare the code on a chain with the code of this release, byte for byte."""
    arbiter = _court_arbiter(court, court_data, court_rules)
    with err.status("Reading the code …"):
        chain_id, found = asyncio.run(_read_code(rpc_url, arbiter))
    rows = [
        {
            "contract": name,
            "address": to_checksum(address),
            "verdict": _verdict(code, _expected(name, arbiter)),
            "bytes": len(code),
        }
        for name, (address, code) in found.items()
    ]
    if as_json:
        print_json(rows)
    else:
        print_rows(tuple(rows[0]), [list(row.values()) for row in rows], empty="")
    _require_all(chain_id, {str(row["contract"]): str(row["verdict"]) for row in rows})


async def _read_code(rpc_url: str, arbiter: CourtArbiter | None) -> tuple[int, dict[str, tuple[bytes, bytes]]]:
    from halle_contracts import DEPLOYMENTS, SHIPPED, predicted_address
    from halle_node.chain import ChainClient

    client = ChainClient(rpc_url)
    try:
        await client.connect()
        known = DEPLOYMENTS.get(client.chain_id, {})
        places = {name: known.get(name) or predicted_address(name) for name in SHIPPED}
        if arbiter is not None:
            places[_ARBITER] = arbiter.address
        return client.chain_id, {name: (place, await client.code(place)) for name, place in places.items()}
    finally:
        await client.close()


def _expected(name: str, arbiter: CourtArbiter | None) -> bytes:
    from halle_contracts import deployed_runtime

    return arbiter.runtime if arbiter and name == _ARBITER else deployed_runtime(name)


def _verdict(code: bytes, expected: bytes) -> str:
    if not code:
        return "missing"
    return "same" if code == expected else "different"


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


def _court_arbiter(court: str | None, data: str, rules: str) -> CourtArbiter | None:
    from halle_contracts import CourtArbiter

    if court is None:
        if data or rules:
            raise ConfigError("--court-data and --court-rules belong to --court.", code="court-malformed")
        return None
    try:
        address, extra = (bytes.fromhex(text.strip().removeprefix("0x")) for text in (court, data))
    except ValueError as error:
        raise ConfigError("--court and --court-data are hexadecimal.", code="court-malformed") from error
    if len(address) != 20:
        raise ConfigError(f"The court's address has {len(address)} bytes, not 20.", code="court-malformed")
    return CourtArbiter(address, extra, rules)


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
