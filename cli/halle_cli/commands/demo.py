"""`halle demo`: a whole market on this machine, told as it happens."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from halle_cli.console import err


@click.command()
@click.option("--exit", "exit_after", is_flag=True, help="End when the story is told, instead of leaving it open.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Put everything into this folder and keep it (default: a temporary one, removed at the end).",
)
def demo(exit_after: bool, keep: Path | None) -> None:
    """Run a market of three nodes and a chain: import, publish, find, buy, ship, deliver, settle, review, claim.

    Everything is real and local: separate processes, signed documents, a real EVM, test money.
    """
    from halle_cli.demo.story import Market

    folder = keep or Path(tempfile.mkdtemp(prefix="halle-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    market = Market(folder.resolve())
    try:
        market.tell()
        if not exit_after:
            market.leave_open()
    finally:
        with err.status("Closing the market …"):
            market.close()
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            err.print(f"Everything is kept in {folder}")
