"""`halle backup` and `halle restore`: one encrypted file, and the way back from it or from the phrase alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from halle_cli.commands.home import read_phrase, tell_home
from halle_cli.console import err, out, print_facts, print_json, read_password, size, when
from halle_cli.session import Client, node_session
from halle_node.config import load
from halle_protocol.errors import Refused, Unavailable

LOOK_AGAIN_S = 0.1


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_obj
def backup(home: Path | None, /, file: Path | None, as_json: bool) -> None:
    """Put the whole node into one encrypted FILE that only the store's phrase opens; without FILE, say when last.

    Works while the node runs and needs no password. The file is read back before success is said.
    """
    with node_session(home) as node:
        if file is None:
            _tell_last(node.get("/backup"), as_json=as_json)
            return
        node.post("/backup", {"file": str(file.expanduser().absolute())})
        state = _follow(node, quiet=as_json)
    if state["state"] == "failed":
        raise Unavailable(state["error_text"], code=state["error_code"], hint=state["error_hint"])
    if as_json:
        print_json(state["last"])
        return
    out.print(f"[green]✓[/] {state['path']}: {size(state['last']['bytes'])}, written and read back.")
    err.print("→ Keep it on another disk. It opens with the phrase only: halle restore FILE --phrase-file WORDS")


def _tell_last(state: dict[str, Any], *, as_json: bool) -> None:
    last = state["last"]
    if as_json:
        print_json(last)
    elif last is None:
        err.print("No back-up was ever made. → halle backup FILE")
    else:
        print_facts({"last back-up": when(last["at"]), "file": last["path"], "size": size(last["bytes"])})


def _follow(node: Client, *, quiet: bool) -> dict[str, Any]:
    """Show how far it is until it ends."""
    with Progress(console=err, transient=True, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("Packing …")
        while True:
            state: dict[str, Any] = node.get("/backup")
            words = {"packing": "Packing …", "checking": "Reading back …"}.get(state["state"])
            if words is None:
                return state
            bar.update(task, description=words, completed=state["done"], total=state["total"] or None)
            time.sleep(LOOK_AGAIN_S)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--phrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the 12 or 24 words of the store; without it they are asked for.",
)
@click.option("--no-password", is_flag=True, help="Leave the keystore without a password (the files stay private).")
@click.option("--name", help="The store's name, when there is no FILE.")
@click.option("--country", help="Country the store sells from, when there is no FILE.")
@click.option("--currency", help="Currency of the prices, when there is no FILE.")
@click.option("--language", help="Main language, when there is no FILE.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_obj
def restore(
    home: Path | None,
    /,
    file: Path | None,
    phrase_file: Path | None,
    no_password: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Make the node again on an empty machine: from a back-up FILE, or from the phrase, the network and the chain.

    The grant that is made outranks the lost machine's: should it turn up again, it stops by itself.
    """
    from halle_node.backup.restoring import restore_home

    config = load(home, settings)
    phrase = read_phrase(phrase_file) if phrase_file else _ask_phrase()
    password = "" if no_password else read_password(config, confirm=True)
    total = file.stat().st_size if file is not None and file.is_file() else None
    with Progress(console=err, transient=True, disable=as_json or not err.is_terminal) as bar:
        task = bar.add_task("Unpacking …", total=total)
        made = restore_home(
            config,
            phrase,
            password=password,
            file=file,
            progress=lambda count: bar.advance(task, count),
        )
    tell_home(made, as_json=as_json, restored=True)


def _ask_phrase() -> str:
    import sys

    if not sys.stdin.isatty():
        raise Refused("The phrase is missing.", code="phrase-missing", hint="Give it in a file: --phrase-file WORDS")
    return str(click.prompt("The store's words", hide_input=True))
