"""How the command line speaks: tables and progress for people, JSON for programs, errors with their next step."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from halle_protocol.errors import HalleError

out = Console(highlight=False, soft_wrap=True)
"""What was asked for goes to stdout."""
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress, hints and errors go to stderr, so that a pipe carries only the answer."""


def configure_logging(verbose: bool) -> None:
    """Send log records to stderr when asked; otherwise only what a person must act on."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR,
        format="%(asctime)s %(levelname)-7s %(name)s  %(message)s",
        stream=sys.stderr,
        force=True,
    )


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


def read_password(*, confirm: bool = False) -> str:
    """Return the keystore's password from HALLE_PASSWORD, HALLE_PASSWORD_FILE or the terminal; "" if none is given."""
    if "HALLE_PASSWORD" in os.environ:
        return os.environ["HALLE_PASSWORD"]
    path = os.environ.get("HALLE_PASSWORD_FILE")
    if path:
        return Path(path).read_text(encoding="utf-8").rstrip("\n")
    if not sys.stdin.isatty():
        return ""
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


def money(value: Mapping[str, Any] | None) -> str:
    """Return `12.34 EUR` of an API money object, or an em dash."""
    if not value:
        return "—"
    from halle_protocol.money import Money

    amount = Money(int(value["amount_minor"]), str(value["currency"]))
    return f"{amount.text()} {amount.currency}"
