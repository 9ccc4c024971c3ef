"""`halle init` and `halle doctor`: make a node's home, and find out why something does not work."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from halle_cli.console import err, out, print_facts, print_json, read_password
from halle_cli.session import node_session
from halle_node.config import load
from halle_protocol.errors import ConfigError

if TYPE_CHECKING:
    from halle_node.home import MadeHome

MARKS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


@click.command()
@click.option("--name", default="", help="The store's name, as buyers will read it.")
@click.option("--language", help="Main language, e.g. fr.")
@click.option("--country", help="Country the store sells from, e.g. FR.")
@click.option("--currency", help="Currency of the prices, e.g. EUR.")
@click.option("--no-password", is_flag=True, help="Leave the keystore without a password (the files stay private).")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON (the phrase is in it: keep it safe).")
@click.pass_obj
def init(home: Path | None, /, no_password: bool, as_json: bool, **settings: Any) -> None:
    """Make a node: recovery phrase, store key, operator grant, network identity, prekeys.

    The password comes from HALLE_PASSWORD, HALLE_PASSWORD_FILE or a prompt. Writes the phrase once, here.
    """
    from halle_node.home import create_home, refuse_existing

    config = load(home, settings)
    refuse_existing(config)
    password = "" if no_password else read_password(config, confirm=True)
    # From the first key until the words are on the screen: stopped in between, a store would be lost.
    with uninterrupted():
        made = create_home(config, password=password)
        tell_home(made, as_json=as_json)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block, where it takes effect."""
    wanted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: wanted.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if wanted:
        raise KeyboardInterrupt


def read_phrase(path: Path) -> str:
    """Return the words in a file.

    Raises: ConfigError "file-unreadable".
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read as text.",
            code="file-unreadable",
            hint="Put the 12 or 24 words into a plain text file.",
        ) from error


def tell_home(made: MadeHome, *, as_json: bool, restored: bool = False) -> None:
    """Say what was made, and of a new store the phrase."""
    facts = {
        "home": str(made.home),
        "store": made.store,
        "operator": made.operator,
        "peer": made.peer_id,
        "grant until": made.grant_until,
    }
    if as_json:
        print_json({**facts, "phrase": "" if restored else made.phrase})
        return
    out.print(f"[green]✓[/] Your node is ready in {made.home}")
    print_facts(facts)
    if not restored:
        out.print("\n[bold]Write these words down on paper, in order. They are the whole store:[/]\n")
        _print_phrase(made.phrase)
        out.print("\nNobody can give them to you again. Whoever has them has the store and its money.")
    err.print("\n→ Next: halle up")


def _print_phrase(phrase: str) -> None:
    words = phrase.split()
    for start in range(0, len(words), 4):
        row = (f"{start + column + 1:>2}. {word:<10}" for column, word in enumerate(words[start : start + 4]))
        out.print("   " + "  ".join(row))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_obj
def doctor(home: Path | None, /, as_json: bool) -> int:
    """Check keys, storage, network, chain and shop, and say what to do about what is wrong."""
    with node_session(home) as node:
        checks = node.get("/doctor")["checks"]
    if as_json:
        print_json(checks)
    else:
        for check in checks:
            out.print(f"{MARKS[check['state']]} {check['name']:<14} {escape(check['message'])}")
            if check["hint"]:
                out.print(f"  {'':<14} → {escape(check['hint'])}")
    return 1 if any(check["state"] == "failed" for check in checks) else 0
