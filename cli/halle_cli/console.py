"""How the command line speaks: tables and progress for people, JSON for programs, errors with their next step."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from halle_protocol.errors import HalleError

if TYPE_CHECKING:
    from halle_node.config import Config


class Terminal(Console):
    """A console whose caller hears that the reader went away, instead of being ended by it."""

    def on_broken_pipe(self) -> None:
        """Called inside the handler of the BrokenPipeError."""
        raise BrokenPipeError


out = Terminal(highlight=False, soft_wrap=True, emoji=False)
"""What was asked for goes to stdout."""
err = Terminal(stderr=True, highlight=False, soft_wrap=True, emoji=False)
"""Progress, hints and errors go to stderr, so that a pipe carries only the answer."""


WIDTH_OF_A_PIPE = 10_000
OURS = ("halle_protocol", "halle_contracts", "halle_node", "halle_storefront", "halle_cli")


def speak_any_terminal() -> None:
    """Replace what a terminal cannot show, rather than fail on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def configure_logging(home: Path | None, *, verbose: bool) -> None:
    """Send log records to stderr when asked; otherwise only what a person must act on.

    Of libraries, warnings at most: their progress is not ours.
    """
    logging.basicConfig(
        level=logging.WARNING if verbose else logging.ERROR,
        format="%(asctime)s %(levelname)-7s %(name)s  %(message)s",
        stream=sys.stderr,
        force=True,
    )
    if verbose:
        from halle_node.config import load

        level = load(home).log_level.upper()
        for name in OURS:
            logging.getLogger(name).setLevel(level)


def report(error: HalleError) -> None:
    """Print what happened and the next step."""
    err.print(f"[bold red]✗[/] {escape(error.message)}  [dim]({escape(error.code)})[/]")
    if error.hint:
        err.print(f"  → {escape(error.hint)}")


def print_json(value: object) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table, or say in words that there is nothing and what to do about it."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    if table.row_count:
        if not out.is_terminal:
            # Into a pipe goes one line a row, whatever its length.
            out.width = WIDTH_OF_A_PIPE
        out.print(table)
    else:
        err.print(empty)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print name–value pairs, one a line."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        out.print(f"[dim]{escape(name):<{width}}[/]  {escape(str(value))}")


def print_paths(home: Path | None) -> None:
    """Print every path a node uses."""
    from halle_node.config import load, paths

    print_facts({name: str(path) for name, path in paths(load(home)).items()})


def read_password(config: Config, *, confirm: bool = False) -> str:
    """Return the keystore's password from HALLE_PASSWORD, HALLE_PASSWORD_FILE or the terminal; "" if none is given.

    Raises: ConfigError "password-file-unreadable".
    """
    known = config.read_password()
    if known or not sys.stdin.isatty():
        return known
    import click

    return str(
        click.prompt(
            "Password for the keystore (empty: none)",
            hide_input=True,
            default="",
            show_default=False,
            confirmation_prompt=confirm,
        )
    )


def size(count: int) -> str:
    """Return `1.2 MB` of a number of bytes."""
    value, units = float(count), ("B", "kB", "MB", "GB", "TB")
    for unit in units[:-1]:
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} {units[-1]}"


def when(seconds: int) -> str:
    """Return a local time to the second, or `never` for 0."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")[:19] if seconds else "never"


def money(value: Mapping[str, Any] | None) -> str:
    """Return `12.34 EUR` of an API money object, or an em dash."""
    if not value:
        return "—"
    from halle_protocol.money import Money

    amount = Money(int(value["amount_minor"]), str(value["currency"]))
    return f"{amount.text()} {amount.currency}"
